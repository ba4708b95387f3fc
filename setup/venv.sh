#!/bin/sh
# Makes .venv where it is missing, installs what the lock file $1 names, then the project itself; $2 is a Python (may be empty).
set -eu
lock=$1
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(sh "$(dirname "$0")/python.sh" "${2:-}")
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "Installing $lock into .venv"
# The lock is complete. pip would still look for newer versions, and stop where a pinned one was withdrawn.
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r "$lock"
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
