#!/bin/sh
# Makes .venv-bench, with .venv's Python, and installs into it what the lock file $1 names.
set -eu
echo "Installing $1 into .venv-bench"
.venv/bin/python -m venv --clear .venv-bench
.venv-bench/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r "$1"
