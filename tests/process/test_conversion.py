"""The operator's own converter: taken for what is not read without it, limited, cached, and told where it fails."""

import shlex
import sys
from pathlib import Path

import pytest

from batchjob.process.conversion import cached_document, extract_document
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.process.readers import Readers
from batchjob.records import Extraction
from batchjob.settings import Settings, load_settings
from tests.support import docuworks as dw
from tests.support.documents import text_pdf
from tests.support.memory_cache import MemoryCache

SENTENCE = "The shaft seal was replaced on Monday by the night shift."


@pytest.fixture
def converter(tmp_path: Path) -> str:
    """A program that answers any DocuWorks file with one PDF, and counts its calls."""
    (tmp_path / "answer.pdf").write_bytes(text_pdf(SENTENCE, SENTENCE))
    script = tmp_path / "convert.py"
    script.write_text(
        "import pathlib, shutil, sys\n"
        "assert pathlib.Path(sys.argv[1]).read_bytes()[:1] == b'\\x60'\n"
        f"shutil.copyfile({str(tmp_path / 'answer.pdf')!r}, sys.argv[2])\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write('x')\n"
    )
    return shlex.join([sys.executable, str(script), "{input}", "{output}"])


def calls(folder: Path) -> int:
    counted = folder / "calls"
    return len(counted.read_text()) if counted.exists() else 0


def extract(data: bytes, folder: Path, cache: MemoryCache | None = None, **settings: object) -> Extraction:
    path, scratch = folder / "file.xdw", folder / "scratch"
    path.write_bytes(data)
    scratch.mkdir(exist_ok=True)
    chosen = load_settings(**settings)
    kept = MemoryCache() if cache is None else cache
    with Readers(chosen, 1, scratch) as readers:
        found = extract_document(path, chosen, scratch, kept, readers)
    assert not list(scratch.iterdir())
    return found


def partly_readable() -> bytes:
    unknown = dw.page(dw.content(dw.body(6, b"mixed raster content")), dw.note("内線"))
    return dw.write(dw.document(dw.page(dw.note("一枚目")), unknown))


def test_pages_that_are_not_read_are_taken_from_the_pdf_once(tmp_path: Path, converter: str) -> None:
    cache = MemoryCache()
    found = extract(partly_readable(), tmp_path, cache, xdw_converter=converter)
    assert found.status == "ok"
    assert [page.text for page in found.pages] == ["一枚目", f"{SENTENCE}\n\n内線"]
    assert [page.engine for page in found.pages] == [None, "converter"]
    assert found.mime_type == "application/vnd.fujixerox.docuworks"
    again = extract(partly_readable(), tmp_path, cache, xdw_converter=converter)
    assert again.pages == found.pages
    assert calls(tmp_path) == 1
    remembered = cached_document(load_settings(xdw_converter=converter), cache)
    assert remembered is not None
    assert remembered.pages == found.pages


def test_a_file_that_is_not_read_at_all_is_taken_from_the_pdf(tmp_path: Path, converter: str) -> None:
    protected = dw.write(dw.document(dw.page()), form=dw.Form(protected=True))
    found = extract(protected, tmp_path, xdw_converter=converter)
    assert (found.status, found.page_count) == ("ok", 2)
    assert found.mime_type == "application/vnd.fujixerox.docuworks"


def test_a_file_that_is_read_whole_needs_no_converter(tmp_path: Path, converter: str) -> None:
    found = extract(dw.write(dw.document(dw.page(dw.note("全部")))), tmp_path, xdw_converter=converter)
    assert (found.text, calls(tmp_path)) == ("全部", 0)


def test_without_a_converter_the_loss_is_told(tmp_path: Path) -> None:
    found = extract(partly_readable(), tmp_path)
    assert found.status == "partial"
    assert found.pages[1].text == "内線"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('no licence')", "the converter failed: exit code 1: no licence"),
        ("import time; time.sleep(60)", "the converter failed: stopped after 1 s in all"),
        ("pass", "the converter wrote no PDF"),
        ("import sys; open(sys.argv[2], 'w').write('%PDF-1.7')", "nor is the converter's PDF"),
        ("import sys; open(sys.argv[2], 'w').write('<html>')", "what the converter wrote is no PDF"),
        ("import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])", "what the converter wrote is no PDF"),
    ],
)
def test_a_converter_that_fails_leaves_the_native_result(script: str, reason: str, tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", script, "{input}", "{output}"])
    found = extract(partly_readable(), tmp_path, xdw_converter=command, xdw_converter_seconds=1.0)
    assert [page.text for page in found.pages] == ["一枚目", "内線"]
    assert found.pages[1].error is not None
    assert reason in found.pages[1].error.message


def answering(pdf: bytes, folder: Path) -> str:
    (folder / "answer.pdf").write_bytes(pdf)
    script = f"import shutil, sys; shutil.copy({str(folder / 'answer.pdf')!r}, sys.argv[2])"
    return shlex.join([sys.executable, "-c", script, "{input}", "{output}"])


@pytest.mark.parametrize(
    ("pages", "text", "reason"),
    [
        (["", ""], "内線", "the converter's PDF holds no text on this page"),
        ([SENTENCE], "内線", "the converter's PDF has no such page"),
        (["", "x"], "x\n\n内線", "the converter's PDF holds less"),
    ],
)
def test_a_pdf_that_holds_less_hides_no_loss(
    pages: list[str], text: str, reason: str, tmp_path: Path
) -> None:
    found = extract(partly_readable(), tmp_path, xdw_converter=answering(text_pdf(*pages), tmp_path))
    assert found.status == "partial"
    assert [page.text for page in found.pages] == ["一枚目", text]
    assert found.pages[1].error is not None
    assert found.pages[1].error.message == f"a drawing of kind 6, which is not known ({reason})"


def test_a_blank_pdf_is_no_content_of_a_file_that_was_not_read(tmp_path: Path) -> None:
    protected = dw.write(dw.document(dw.page()), form=dw.Form(protected=True))
    found = extract(protected, tmp_path, xdw_converter=answering(text_pdf("", ""), tmp_path))
    assert found.failure is not None
    assert found.failure.category == "protected"
    assert "the converter's PDF holds no text" in found.failure.message


@pytest.mark.parametrize(("binder", "name"), [(True, "document.xbd"), (False, "document.xdw")])
def test_the_converter_gets_the_file_under_the_ending_of_its_kind(
    binder: bool, name: str, tmp_path: Path
) -> None:
    document = dw.document(dw.page(dw.content(dw.body(6, b"mixed raster content"))))
    data = dw.write(dw.binder(document) if binder else document)
    command = shlex.join([sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", "{input}", "{output}"])
    found = extract(data, tmp_path, xdw_converter=command)
    assert found.failure is not None
    assert found.failure.message.endswith(f"/{name})")


def test_a_converter_that_is_not_there_is_told(tmp_path: Path) -> None:
    protected = dw.write(dw.document(dw.page()), form=dw.Form(protected=True))
    found = extract(protected, tmp_path, xdw_converter="/nowhere/xdw2pdf {input} {output}")
    assert found.failure is not None
    assert found.failure.category == "protected"
    assert "No such file or directory" in found.failure.message


def test_a_converter_changes_the_fingerprint() -> None:
    assert extraction_fingerprint(Settings()) != extraction_fingerprint(
        Settings(xdw_converter="p {input} {output}")
    )
