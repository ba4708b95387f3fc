"""Any key has a path of its own, and no path stands in another's way."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.adapters.folder_keys import file_path, folder_path, part_of_key
from batchjob.errors import UsageError

CHARACTERS = st.one_of(
    st.sampled_from("ab./\\%._-~ 2E\x01\x7f\né日😀"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
KEYS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=60),
    st.lists(st.sampled_from(["", ".", "..", "a", "a.", "a%.", "%_", "%-", "a%-", "x" * 66, "x" * 201]))
    .map("/".join)
    .filter(bool),
    st.builds(lambda character, times: character * times, CHARACTERS, st.integers(60, 1024)),
).filter(lambda key: 0 < len(key.encode()) <= 1024)


def key_of(path: str) -> str:
    *folders, leaf = path.split("/")
    parts = [part_of_key(name, is_folder=True) for name in folders] + [part_of_key(leaf, is_folder=False)]
    return b"".join(part for part in parts if part is not None).decode()


@given(KEYS)
def test_a_path_leads_back_to_its_key(key: str) -> None:
    assert key_of(file_path(key)) == key


@given(KEYS)
def test_names_are_harmless_and_files_never_meet_folders(key: str) -> None:
    *folders, leaf = file_path(key).split("/")
    assert all(0 < len(name) <= 202 and name.isascii() and name.isprintable() for name in [*folders, leaf])
    assert not any("." in name for name in folders)
    assert "." in leaf
    assert leaf not in (".", "..")
    assert not {"%tmp", "%lock"} & {*folders, leaf}


@given(KEYS, KEYS)
def test_a_prefix_names_the_folder_of_its_keys(prefix: str, rest: str) -> None:
    key = f"{prefix}/{rest}"
    if len(key.encode()) <= 1024:
        assert file_path(key) == f"{folder_path(f'{prefix}/'.encode())}/{file_path(rest)}"


@pytest.mark.parametrize(
    "key",
    [
        "runs/20261123T031500Z-4f09ab/receipts/00000.json",
        "cache/extract/0123abc/" + string.hexdigits + "/000001.json",
        "runs/20261123T031500Z-4f09ab/bulk/00000/job-1-0123abcd/part-00000.ndjson.gz",
    ],
)
def test_ordinary_keys_look_the_same_on_disk(key: str) -> None:
    assert file_path(key) == key


def test_an_impossible_key_has_no_path() -> None:
    for key in ("", "\0", "\udc80", "x" * 1025):
        with pytest.raises(UsageError, match="key"):
            file_path(key)
