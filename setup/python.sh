#!/bin/sh
# Prints the path of the Python to use: $1 where given, else the first that works and is 3.11 or newer.
set -u
for name in ${1:-python3.13 python3.12 python3.11 python3}; do
    # A version manager's stand-in may exist without its Python: so it is run, not only looked for.
    if found=$("$name" -c 'import sys; print(sys.executable) if sys.version_info >= (3, 11) else sys.exit(1)' 2>/dev/null)
    then
        echo "$found"
        exit 0
    fi
done
if [ -n "${1:-}" ]; then
    echo "'$1' is no working Python 3.11 or newer. Leave PYTHON out to let the set-up choose." >&2
else
    echo "No Python 3.11 or newer found. Install one (3.11 to 3.13), or name it: make PYTHON=/path/to/python3.12 ..." >&2
fi
exit 64
