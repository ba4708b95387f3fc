#!/bin/sh
# Installs the system packages that are missing; $1 is what for: sample, test, bench or opensearch; $2 a Python (may be empty).
# Debian and Ubuntu only; elsewhere it lists what to install.
set -u
purpose=$1
python=${2:-}
missing=

need() { # need PACKAGE COMMAND...: the package is missing where the command fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

has_language() { tesseract --list-langs 2>/dev/null | grep -qxE "(script/)?$1"; }

need_python() {
    choose="$(dirname "$0")/python.sh"
    if [ -n "$python" ]; then
        python=$(sh "$choose" "$python") || exit 64
    elif ! python=$(sh "$choose" 2>/dev/null); then
        missing="$missing python3 python3-venv"
        return
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    need "python$version-venv" "$python" -c 'import ensurepip, venv'
}

need_python
if [ "$purpose" != opensearch ]; then
    need poppler-utils command -v pdftoppm
    need tesseract-ocr command -v tesseract
    need tesseract-ocr-eng has_language eng
    need tesseract-ocr-jpn has_language jpn
    need tesseract-ocr-jpn-vert has_language jpn_vert
    need tesseract-ocr-script-jpan has_language Japanese
    need tesseract-ocr-script-jpan-vert has_language Japanese_vert
    need tesseract-ocr-osd has_language osd
fi
[ "$purpose" = sample ] || need maven command -v mvn
if [ "$purpose" = bench ]; then
    need fonts-ipaexfont test -f /usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf
    need poppler-utils command -v pdftoppm
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install these first (Debian's names; this machine has no apt-get):$missing" >&2
    exit 64
fi
root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Please have these packages installed (neither root nor sudo here): apt-get install$missing" >&2
        exit 64
    fi
    root=sudo
fi
echo "Installing system packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # both are lists of words
if ! {
    $root apt-get update &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
} </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install:$missing. Its last words are above." >&2
    exit 75
fi
