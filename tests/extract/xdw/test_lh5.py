"""The decoder against an encoder of the tests' own and a second decoder, and its bounds."""

from io import BytesIO
from pathlib import Path

import lzhlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.extract.xdw.lh5 import MAX_EXPANDED, expand
from batchjob.extract.xdw.tlv import XdwError
from tests.support.lh5 import bomb, pack, pack_literals

VECTOR = bytes.fromhex("003d28044bfc61e3064e401000000000000000c0")
"""The preview of an empty page, as DocuWorks packed it."""
MATERIAL = Path(__file__).parent / "packed"
"""Texts and binaries packed by an LHA program of its own lineage (jlha): `NAME.lh5` unpacks to `NAME`."""


class _Info:
    compress_type = b"-lh5-"
    CRC = 0

    def __init__(self, stored: int, size: int) -> None:
        self.compress_size, self.file_size = stored, size


def second_decoder(stream: bytes, size: int) -> bytes:
    """What lhafile makes of a stream."""
    out = BytesIO()
    session = lzhlib.LZHDecodeSession(BytesIO(stream), out, _Info(len(stream), size))
    while not session.do_next():
        pass
    return out.getvalue()


def repetitive() -> st.SearchStrategy[bytes]:
    """Few letters, repeated parts: matches near and far, of all lengths."""
    part = st.binary(min_size=1, max_size=40)
    chosen = st.lists(st.tuples(part, st.integers(1, 300)), min_size=1, max_size=12)
    return chosen.map(lambda parts: b"".join(piece * times for piece, times in parts)[:20_000])


@given(
    data=st.one_of(st.binary(min_size=1, max_size=600), repetitive()),
    block=st.sampled_from([1, 2, 19, 16_000]),
)
def test_what_the_encoder_packs_both_decoders_unpack(data: bytes, block: int) -> None:
    block = block if len(data) < 2_000 else 16_000
    for stream in (pack(data, block), pack_literals(data)):
        assert expand(stream, len(data)) == data
        assert second_decoder(stream, len(data)) == data


@pytest.mark.parametrize("distance", [1, 2, 3, 8191, 8192])
def test_matches_reach_as_far_as_the_window(distance: int) -> None:
    data = (b"abc" + bytes(range(256)) * 40)[:distance] + b"abcabcabcabc"
    data += data[-distance:]
    assert expand(pack(data), len(data)) == data
    assert second_decoder(pack(data), len(data)) == data


@pytest.mark.parametrize("path", sorted(MATERIAL.glob("*.lh5")), ids=lambda path: path.stem)
def test_another_programs_streams_are_unpacked_byte_for_byte(path: Path) -> None:
    plain = path.with_suffix("").read_bytes()
    assert expand(path.read_bytes(), len(plain)) == plain


def test_a_real_stream() -> None:
    assert expand(VECTOR, 15_184) == b"\xd7" * 15_184


@given(
    data=repetitive(),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=5),
)
def test_a_damaged_stream_gives_as_many_bytes_as_were_asked_for_or_an_error(
    data: bytes, changes: list[tuple[int, int]]
) -> None:
    stream = bytearray(pack(data))
    for at, value in changes:
        stream[at % len(stream)] ^= value
    try:
        assert len(expand(bytes(stream), len(data))) == len(data)
    except XdwError:
        return


@given(stream=st.binary(max_size=400), size=st.integers(1, 5_000))
def test_random_bytes_give_as_many_bytes_as_were_asked_for_or_an_error(stream: bytes, size: int) -> None:
    try:
        assert len(expand(stream, size)) == size
    except XdwError:
        return


def test_a_cut_off_stream_is_an_error() -> None:
    data = bytes(range(256)) * 8
    stream = pack(data)
    with pytest.raises(XdwError, match="2,048 bytes could be unpacked"):
        expand(stream[: len(stream) // 2], len(data))


def test_a_bomb_gives_no_more_than_is_asked_for() -> None:
    assert len(bomb(4)) == 26
    assert expand(bomb(4), 1_000) == b" " * 1_000


@pytest.mark.parametrize("size", [-1, MAX_EXPANDED + 1, 1 << 40])
def test_impossible_sizes_are_refused_before_anything_is_unpacked(size: int) -> None:
    with pytest.raises(XdwError, match=r"the limit is|negative"):
        expand(bomb(4), size)
