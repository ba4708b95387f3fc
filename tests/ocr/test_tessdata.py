"""What is said before any work where Tesseract or its data is missing; the fingerprint follows the data."""

import shutil
from pathlib import Path

import pytest

from batchjob.errors import UsageError
from batchjob.ocr.tessdata import check, find_tessdata, identity
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.settings import Settings


def tesseract(**more: object) -> Settings:
    return Settings(ocr_engine="tesseract", **more)  # type: ignore[arg-type]


ANSWERS = """\
#!/bin/sh
case $1 in
--version) echo 'tesseract VERSION'; echo ' leptonica-1.82.0';;
--list-langs) echo 'List of available languages in "FOLDER/" (3):'; printf 'Japanese\\nJapanese_vert\\nosd\\n';;
esac
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tesseract that only says what it has, in a PATH of its own; its data are small files."""
    path = tmp_path / "tesseract"
    path.write_text(ANSWERS.replace("FOLDER", str(tmp_path)).replace("VERSION", "5.3.0"))
    path.chmod(0o755)
    for name in ("Japanese", "Japanese_vert", "osd"):
        (tmp_path / f"{name}.traineddata").write_text(name)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return path


def test_what_is_installed(program: Path) -> None:
    found = find_tessdata()
    assert found == ("5.3.0", program.parent, {"Japanese", "Japanese_vert", "osd"})
    check(tesseract())


def test_no_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for question in (check, extraction_fingerprint):
        with pytest.raises(UsageError, match="tesseract-ocr-script-jpan"):
            question(tesseract())


def test_a_tesseract_that_fails(program: Path) -> None:
    program.write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(UsageError, match="Repair or reinstall"):
        check(tesseract())
    program.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(UsageError, match="install Tesseract 5"):
        check(tesseract())


@pytest.mark.parametrize(
    ("settings", "package", "variable"),
    [
        ({"ocr_languages": "Japanese+fra"}, "tesseract-ocr-fra", "BATCHJOB_OCR_LANGUAGES "),
        ({"ocr_languages": "script/Japanese"}, "tesseract-ocr-script-jpan)", "BATCHJOB_OCR_LANGUAGES "),
        (
            {"ocr_languages_vertical": "jpn_vert"},
            "tesseract-ocr-jpn-vert",
            "BATCHJOB_OCR_LANGUAGES_VERTICAL ",
        ),
    ],
)
def test_missing_data_names_package_and_setting(
    program: Path, settings: dict[str, str], package: str, variable: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(tesseract(**settings))
    message = str(caught.value)
    assert package in message
    assert variable in message
    assert "\n" not in message


def test_vertical_writing_may_be_left_out(program: Path) -> None:
    check(tesseract(ocr_languages_vertical=""))


def test_the_fingerprint_follows_what_changes_the_text_and_nothing_else(program: Path) -> None:
    first = extraction_fingerprint(tesseract())
    assert len(first) == 32
    limits = {"workers": 7, "page_seconds": 5, "document_seconds": 9, "child_memory": 2**30, "max_pages": 9}
    assert extraction_fingerprint(tesseract(**limits)) == first
    others = [
        extraction_fingerprint(tesseract(ocr_dpi=150)),
        extraction_fingerprint(tesseract(ocr_languages="Japanese+osd")),
        extraction_fingerprint(tesseract(ocr_languages_vertical="")),
    ]
    (program.parent / "Japanese.traineddata").write_text("retrained")
    others.append(extraction_fingerprint(tesseract()))
    program.write_text(program.read_text().replace("5.3.0", "5.5.4"))
    others.append(extraction_fingerprint(tesseract()))
    assert len({first, *others}) == 6


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs Tesseract")
def test_the_installed_tesseract_is_understood() -> None:
    installed = find_tessdata()
    assert installed.folder.is_dir()
    for language in installed.languages:
        assert (installed.folder / f"{language}.traineddata").is_file()
    assert "missing" not in identity(
        tesseract(ocr_languages=min(installed.languages), ocr_languages_vertical="")
    )
