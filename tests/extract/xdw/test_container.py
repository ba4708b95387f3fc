"""Files as they are saved, protected, cut off and fabricated: each is read as far as can be, or says why not."""

import random
import struct
from pathlib import Path

import pytest

from batchjob.extract.xdw.container import MAX_ENTRIES
from batchjob.extract.xdw.tlv import check_value
from tests.extract.xdw.reading import Reading, read
from tests.support import docuworks as dw
from tests.support.documents import text_pdf
from tests.support.lh5 import bomb
from tests.support.metafiles import Emf


def sample(words: str = "本文", entries: dw.Entries | None = None) -> dw.Object:
    drawing: dw.Stored = dw.body(4, Emf().font(128).text(words, 0, 0).bytes(), packed=True)
    if entries is not None:
        drawing = entries.add(drawing)  # type: ignore[arg-type]
    return dw.document(dw.page(dw.content(drawing), dw.note("メモ")))


def failure(found: Reading) -> tuple[str, str]:
    assert found.failure is not None
    assert not found.pages
    return found.failure["category"], found.failure["message"]


@pytest.mark.parametrize("generation", [7, 8, 9, 10, 11, 200])
@pytest.mark.parametrize("plain", [True, False])
def test_all_generations_are_read(generation: int, plain: bool, tmp_path: Path) -> None:
    entries = dw.Entries()
    root = sample(entries=entries)
    found = read(dw.write(root, entries, dw.Form(generation=generation, plain=plain)), tmp_path)
    assert found.texts == ["本文\n\nメモ"]
    assert "error" not in found.pages[0]


@pytest.mark.parametrize(
    "form",
    [
        dw.Form(protected=True),
        dw.Form(protected=True, protected_entries=True),
        dw.Form(protected_entries=True),
    ],
)
def test_protected_files_are_not_read(form: dw.Form, tmp_path: Path) -> None:
    entries = dw.Entries()
    category, message = failure(read(dw.write(sample(entries=entries), entries, form), tmp_path))
    assert category == "protected"
    assert "store it without protection" in message


@pytest.mark.parametrize("start", [b"XDWF", b"XBDF", b"\x60\x0e\x82\x01\x07\x80\x03\x00\xc0\x13\x83\x04abcd"])
def test_fabricated_files_are_corrupt(start: bytes, tmp_path: Path) -> None:
    category, message = failure(read(start + b"\1\0" + bytes(200), tmp_path))
    assert category == "corrupt"
    assert "does not begin as DocuWorks writes its files" in message


def test_a_file_saved_again_is_read_in_its_last_state(tmp_path: Path) -> None:
    first = dw.write(sample("昨日"))
    assert read(dw.append(first, sample("今日")), tmp_path).texts == ["今日\n\nメモ"]


@pytest.mark.parametrize("more", [b"\0" * 4096, b"PK\3\4 other bytes", "cut"])
def test_the_state_before_a_damaged_end_is_read_and_told(more: bytes | str, tmp_path: Path) -> None:
    first = dw.write(sample("昨日"))
    data = dw.append(first, sample("今日"))[:-40] if isinstance(more, str) else first + more
    found = read(data, tmp_path)
    assert found.texts == ["昨日\n\nメモ"]
    assert found.pages[0]["error"]["category"] == "corrupt"


def test_entries_of_a_file_without_its_end_are_read_and_told(tmp_path: Path) -> None:
    entries = dw.Entries()
    root = sample(entries=entries)
    data = dw.write(root, entries)
    found = read(data[: data.rindex(b"\x63")], tmp_path)
    assert found.texts == ["本文"]
    assert "without its order" in found.pages[0]["error"]["message"]


@pytest.mark.parametrize("plain", [True, False])
def test_a_wrong_check_value_is_told(plain: bool, tmp_path: Path) -> None:
    found = read(dw.write(sample(), form=dw.Form(plain=plain, trailer={0x85: dw.integer(5)})), tmp_path)
    assert found.texts == ["本文\n\nメモ"]
    assert "check value" in found.pages[0]["error"]["message"]


def test_altered_entries_are_read_and_told_on_their_page(tmp_path: Path) -> None:
    entries = dw.Entries()
    pages = [
        dw.page(dw.content(entries.add(dw.body(4, Emf().text(words, 0, 0).bytes()))))
        for words in ("paid 100", "paid 200")
    ]
    data = dw.write(dw.document(*pages), entries)
    changed = data.replace("100".encode("utf-16-le"), "900".encode("utf-16-le"))
    found = read(changed, tmp_path)
    assert found.texts == ["paid 900", "paid 200"]
    message = "entry 0 does not have the check value that was stored with it"
    assert found.pages[0]["error"] == {"category": "corrupt", "message": message}
    assert "error" not in found.pages[1]


@pytest.mark.parametrize(
    ("in_entry", "in_trailer", "told"),
    [(0, None, True), (0, 0, False), (0, 5, False), (5, 0, False), (5, 5, True)],
)
def test_the_trailers_check_values_of_entries_count_as_well(
    in_entry: int, in_trailer: int | None, told: bool, tmp_path: Path
) -> None:
    """Numbers are what is added to the true value, in the entry 0 stands for a value of 0."""
    entries = dw.Entries()
    root = sample(entries=entries)
    true = dw.check(entries.bodies[0])
    listed = {0x8D: struct.pack("<II", 0, true + in_trailer)} if in_trailer is not None else {}
    data = dw.write(root, entries, dw.Form(trailer=listed))
    signed = dw.integer(true - (1 << 32) if true >> 31 else true)
    stored = dw.integer((1 << 31) + in_entry if in_entry else 0).rjust(len(signed), b"\0")[-len(signed) :]
    found = read(data.replace(dw.element(0x81, signed), dw.element(0x81, stored), 1), tmp_path)
    assert found.texts == ["本文\n\nメモ"]
    assert ("error" in found.pages[0]) == told


def test_an_altered_attached_file_is_told(tmp_path: Path) -> None:
    entries = dw.Entries()
    attached = entries.attached("a.pdf", text_pdf("The shaft seal was replaced."), packed=False)
    data = dw.write(dw.document(dw.page(dw.note("本紙")), originals=[attached]), entries)
    at = data.index(b"%PDF") + 5
    found = read(data[:at] + b"2" + data[at + 1 :], tmp_path)
    assert "The shaft seal" in found.texts[1]
    assert "check value" in found.pages[1]["error"]["message"]
    assert "error" not in found.pages[0]


@pytest.mark.parametrize(
    "trailer",
    [
        {0x83: dw.integer(-5)},
        {0x83: None},
        {0x83: dw.integer(100_000)},
        {0x84: dw.integer(1 << 30)},
        {0x84: dw.integer(-1)},
        {0x84: None},
        {0x80: dw.integer(MAX_ENTRIES + 1)},
        {0x80: dw.integer(3)},
        {0x80: dw.integer(1), 0x81: struct.pack("<I", 1 << 31)},
    ],
)
def test_impossible_trailers_are_corrupt(trailer: dict[int, bytes | None], tmp_path: Path) -> None:
    category, message = failure(read(dw.write(sample(), form=dw.Form(trailer=trailer)), tmp_path))
    assert category == "corrupt"
    assert message.startswith("the DocuWorks file is damaged: ")


def test_properties_beyond_the_limit_are_too_large(tmp_path: Path) -> None:
    data = dw.write(sample(), form=dw.Form(trailer={0x83: dw.integer(1 << 31)}))
    assert failure(read(data, tmp_path))[0] == "too_large"


@pytest.mark.slow
def test_long_lists_of_names_that_many_objects_share_are_stopped(tmp_path: Path) -> None:
    entries = dw.Entries()
    names = entries.add((dw.numbers(2001, 4, -1, 2) + b"\2a\0") * 60_000)
    notes = [dw.Object(0x8011, {51: names}) for _ in range(40)]
    data = dw.write(dw.document(dw.page(*notes, dw.note("メモ"))), entries, dw.Form(plain=True))
    (page,) = read(data, tmp_path).pages
    assert page["error"]["category"] == "unsupported"
    assert "lists of names have more than 16,777,216 bytes in all (" in page["error"]["message"]


def test_a_drawing_that_many_objects_share_is_stopped(tmp_path: Path) -> None:
    entries = dw.Entries()
    emf = Emf().font(128)
    for line in range(8):
        emf.text("字" * 50_000, 0, 100 * line)
    drawing = entries.add(dw.body(4, emf.bytes()))
    data = dw.write(dw.document(dw.page(*[dw.content(drawing)] * 30)), entries, dw.Form(plain=True))
    (page,) = read(data, tmp_path).pages
    assert page["error"]["category"] == "too_large"
    assert 2_000_000 <= len(page["text"]) < 3_000_000


def test_documents_and_binders_without_pages_are_empty(tmp_path: Path) -> None:
    assert failure(read(dw.write(dw.document()), tmp_path))[0] == "empty"
    category, message = failure(read(dw.write(dw.binder()), tmp_path))
    assert (category, message) == ("empty", "the DocuWorks binder holds no document with pages")


def test_references_out_of_range_cost_their_page_only(tmp_path: Path) -> None:
    lost = dw.content(dw.Ref(dw.element(0x81, dw.integer(9)) + dw.element(0x82, dw.integer(5))))
    found = read(dw.write(dw.document(dw.page(lost), dw.page(dw.note("二")))), tmp_path)
    assert found.methods == ["failed", "text"]
    assert found.pages[0]["error"] == {"category": "corrupt", "message": "a reference leads to no entry"}


def test_a_bomb_costs_its_page_only(tmp_path: Path) -> None:
    parts = (dw.element(0x80, b"\4"), dw.element(0x81, dw.integer(1 << 33)), dw.element(0x8A, b"\1"))
    body = b"".join([*parts, dw.element(0x86, bomb(1000))])
    found = read(dw.write(dw.document(dw.page(dw.content(body)), dw.page(dw.note("二")))), tmp_path)
    assert found.methods == ["failed", "text"]
    assert "the limit is" in found.pages[0]["error"]["message"]


@pytest.mark.slow
def test_many_bombs_are_stopped_together(tmp_path: Path) -> None:
    size = 60 * 1024 * 1024
    parts = (dw.element(0x80, b"\4"), dw.element(0x81, dw.integer(size)), dw.element(0x8A, b"\1"))
    body = b"".join([*parts, dw.element(0x86, bomb(4))])
    found = read(dw.write(dw.document(*[dw.page(dw.content(body))] * 12)), tmp_path)
    assert {page["method"] for page in found.pages} == {"failed"}
    assert found.pages[-1]["error"]["category"] == "too_large"


def deep(levels: int) -> bytes:
    return b"".join(dw.Object(0x1301).records(depth) for depth in range(levels))


class Raw(dw.Object):
    """An object whose records are given."""

    def __init__(self, records: bytes) -> None:
        super().__init__(dw.DOCUMENT)
        self._records = records

    def records(self, depth: int = 0) -> bytes:
        return self._records


@pytest.mark.parametrize(
    "tail", [deep(60)[len(deep(1)) :], dw.Object(0x1301).records(7), b"\x62\x85\1\1\1\1\1", b"\x31\0"]
)
def test_damage_in_the_tree_keeps_what_lies_before_it(tail: bytes, tmp_path: Path) -> None:
    found = read(dw.write(Raw(sample().records() + tail)), tmp_path)
    assert found.texts[0] == "本文\n\nメモ"
    assert found.pages[0]["error"]["category"] == "corrupt"


@pytest.mark.parametrize(
    "data", [b"\x60", b"\x60\x0e\x82\x01", dw.header(dw.DOCUMENT), dw.header(0x1234) + bytes(50)]
)
def test_stumps_are_corrupt(data: bytes, tmp_path: Path) -> None:
    found = read(data, tmp_path)
    assert failure(found)[0] in ("corrupt", "unsupported")


def test_every_cut_ends_as_an_outcome(tmp_path: Path) -> None:
    entries = dw.Entries()
    data = dw.write(sample(entries=entries), entries)
    for length in range(1, len(data)):
        found = read(data[:length], tmp_path)
        assert found.failure or any("error" in page for page in found.pages)


def test_damaged_properties_end_as_outcomes(tmp_path: Path) -> None:
    """Damage in a file mostly ends in unpacking; this one is packed again behind it."""
    entries = dw.Entries()
    records = sample(entries=entries).records()
    for seed in range(300):
        noise = random.Random(seed)
        changed = bytearray(records)
        for _ in range(noise.choice((1, 2, 5, 20))):
            changed[noise.randrange(len(changed))] = noise.choice(
                (0, 1, 0x7F, 0x80, 0xFF, noise.randrange(256))
            )
        found = read(dw.write(Raw(bytes(changed)), entries, dw.Form(plain=True)), tmp_path)
        assert found.failure or found.pages


@pytest.mark.parametrize("length", [0, 3, 4, 8, 11, 64])
def test_the_check_value_is_the_exclusive_or_of_words(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert check_value(data) == dw.check(data)
