#!/bin/sh
# Makes .venv-bench, with .venv's Python, and installs into it what the lock file $1 names.
set -eu
echo "Installing $1 into .venv-bench"
.venv/bin/python -m venv --clear .venv-bench
.venv-bench/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r "$1"

tika=3.2.2
sum=7b6da1143ea867fc162e1397bfde904a3ee059491fa7079383b63dbad15a38e3
if command -v mvn >/dev/null 2>&1 &&
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        "-Dartifact=org.apache.tika:tika-app:$tika" -DoutputDirectory="$PWD/.venv-bench/java" &&
    echo "$sum  .venv-bench/java/tika-app-$tika.jar" | sha256sum -c --quiet -; then
    mv ".venv-bench/java/tika-app-$tika.jar" .venv-bench/tika-app.jar
else
    echo "Without tika-app $tika: measured without Apache Tika on Java" >&2
fi
