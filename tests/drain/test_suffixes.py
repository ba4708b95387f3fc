"""One list says which files are documents; every other place agrees with it."""

from pathlib import Path

import pytest

from batchjob.drain.filters import key_filter
from batchjob.errors import UsageError
from batchjob.manifest.folder import is_document
from batchjob.settings import SUFFIXES, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
LIST = " ".join(SUFFIXES)


def test_drain_and_folder_take_the_same_keys() -> None:
    keys = key_filter(Settings())
    assert keys.suffixes == SUFFIXES
    names = [f"a{suffix}{more}" for suffix in (*SUFFIXES, ".doc", "") for more in ("", "x", "/")]
    for name in names + [name.upper() for name in names]:
        assert keys.takes(name) == is_document(name), name


def test_the_list_is_the_one_of_the_documentation() -> None:
    for page in ("README.md", "docs/intake.md", "docs/settings.md"):
        assert f"`{LIST}`" in (ROOT / page).read_text("utf-8"), page


def test_nobody_else_has_a_list_of_suffixes() -> None:
    """A second list would drift; a file that names the rarest of them has one."""
    sources = [path for path in (ROOT / "batchjob").rglob("*.py") if '".xbd"' in path.read_text("utf-8")]
    assert [path.name for path in sources] == ["settings.py"]


@pytest.mark.parametrize(
    "wrong",
    [{"suffixes": ".pdf,.jpg"}, {"suffixes": ".pdf;"}, {"suffixes": ". .pdf"}, {"prefix": "/files/"}],
)
def test_what_would_pass_over_every_event_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"BATCHJOB_{next(iter(wrong)).upper()}"):
        load_settings(**wrong)
