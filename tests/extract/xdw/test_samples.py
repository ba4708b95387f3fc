"""Real files, where they lie beside the checkout."""

from pathlib import Path

import pytest

from tests.extract.xdw.reading import read

FOLDER = Path(__file__).parents[4] / "shared" / "samples" / "xdw"
PHRASE = "Lorem ipsum. 吾輩は猫である。"
TEXTS = {
    "test_xdw_ver8.xdw": [PHRASE],
    "test_xdw_ver10.xdw": [PHRASE],
    "test_xbd_ver8.xbd": [f"test_data8-2\n\n{PHRASE}\n\nLorem ipsum.", f"test_data8-2\n\n{PHRASE}"],
    "test_xbd_ver10.xbd": [f"test_xdw_ver10-1\n\n{PHRASE}", f"test_xdw_ver10-2\n\n{PHRASE}"],
    "__blank__.xdw": [""],
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the real files beside the checkout")
@pytest.mark.parametrize("name", TEXTS)
def test_real_files_are_read_whole(name: str, tmp_path: Path) -> None:
    found = read((FOLDER / name).read_bytes(), tmp_path)
    assert found.texts == TEXTS[name]
    assert not [page for page in found.pages if "error" in page]
    assert found.document is not None
    assert found.document["title"] == ("バインダー" if name == "test_xbd_ver10.xbd" else None)
    assert (found.thumbnail is not None) == (name == "__blank__.xdw")
