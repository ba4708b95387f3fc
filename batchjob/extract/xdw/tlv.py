"""The encoding that DocuWorks files are made of: tags, lengths and whole numbers; everything else here reads by it."""

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from batchjob.errors import FailureCategory

Buffer = bytes | mmap
MAX_FIELDS = 4096
"""Fields of one element; real ones have under 30."""
_LARGEST = (1 << 31) - 1
_LONG = 0x80
_LONGEST = 4


class XdwError(Exception):
    """Why a file, a page or a part of one is not read."""

    def __init__(self, message: str, category: FailureCategory = FailureCategory.CORRUPT) -> None:
        super().__init__(message)
        self.message = message
        self.category = category


class Element(NamedTuple):
    """A tag and where its value lies."""

    tag: int
    start: int
    end: int


def element(data: Buffer, at: int, end: int) -> Element:
    """The element at `at`, which must end by `end`. Raises XdwError."""
    if at + 2 > end:
        raise XdwError("an element begins after the end of what holds it")
    length, start = data[at + 1], at + 2
    if length >= _LONG:
        count = length - _LONG
        if not 1 <= count <= _LONGEST or start + count > end:
            raise XdwError("an element has an impossible length")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if length > end - start:
        raise XdwError("an element is longer than what holds it")
    return Element(data[at], start, start + length)


def elements(data: Buffer, at: int, end: int) -> Iterator[Element]:
    """The elements that fill a range. Raises XdwError where they do not, or are too many."""
    count = 0
    while at < end:
        found = element(data, at, end)
        count += 1
        if count > MAX_FIELDS:
            raise XdwError(f"an element has more than {MAX_FIELDS:,} fields")
        yield found
        at = found.end


def fields(data: bytes) -> dict[int, bytes]:
    """The values of an element's fields by their tags; of a repeated tag the first. Raises XdwError."""
    found: dict[int, bytes] = {}
    for tag, start, end in elements(data, 0, len(data)):
        found.setdefault(tag, data[start:end])
    return found


def ends_with(data: Buffer, tags: frozenset[int], value: int, end: int) -> Element | None:
    """The element whose value begins at `value` and ends at `end`, if one of these tags and that length precede it."""
    for header in range(2, 3 + _LONGEST):
        at = value - header
        if at >= 0 and data[at] in tags:
            try:
                found = element(data, at, end)
            except XdwError:
                continue
            if (found.start, found.end) == (value, end):
                return Element(found.tag, at, end)
    return None


def integer(value: bytes) -> int:
    """Big-endian, two's complement."""
    return int.from_bytes(value, "big", signed=True)


def items(value: bytes) -> Iterator[bytes]:
    """The parts of a list, each with one byte of length before it; an empty or too long one ends it."""
    at = 0
    while at < len(value):
        length = value[at]
        if not length or at + 1 + length > len(value):
            return
        yield value[at + 1 : at + 1 + length]
        at += 1 + length


def numbers(value: bytes) -> list[int]:
    """The whole numbers of a list, each within what 32 bits hold: what is over is damage, and no place or size."""
    return [within(integer(item)) for item in items(value)]


def within(value: int) -> int:
    return min(max(value, -_LARGEST), _LARGEST)


def check_value(data: bytes) -> int:
    """The exclusive or of all whole little-endian 32-bit words; up to three bytes at the end do not count."""
    words = len(data) // 4
    value = int.from_bytes(data[: words * 4], "little")
    while words > 1:
        half = (words + 1) // 2
        value = (value >> half * 32) ^ (value & ((1 << half * 32) - 1))
        words = half
    return value
