"""Opens a DocuWorks file from its end: the last trailer, its properties, and the entries that it lists."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.xdw import lh5
from batchjob.extract.xdw.tlv import (
    Buffer,
    Element,
    XdwError,
    check_value,
    element,
    elements,
    ends_with,
    fields,
    integer,
)

MAX_ENTRIES = 200_000
MAX_TOTAL = 512 * 1024 * 1024
"""Bytes that all streams of a file, and of the files attached to it, may expand to in one child."""
MAX_FILES = 100
MAX_PROPERTIES = 80 * 1024 * 1024
"""Bytes as they are stored; more than may expand from them only where nothing could be packed."""
_HEADER, _SEGMENT, _ENTRY, _PROTECTED_ENTRY = 0x60, 0x61, 0x64, 0x67
_TRAILERS = frozenset({0x65, 0x68})
_PLAIN, _PACKED, _PROTECTED = 0x62, 0x63, 0x66
_PROPERTIES = frozenset({_PLAIN, _PACKED, _PROTECTED})
_GUARD = b"\x01\x0d\x0a\x01"
_LONGEST_TRAILER = 16 * MAX_ENTRIES
_LAST_FIELD = b"\x86\x04"
_MOST_TRIES = 64
"""Earlier ends that are tried in a damaged file."""


class Root(IntEnum):
    """What the header says that the file is."""

    DOCUMENT = 0xC013
    BINDER = 0xC014


class ProtectedError(XdwError):
    """Encrypted, with a password or a certificate."""

    def __init__(self) -> None:
        message = "the DocuWorks file is protected and cannot be read; store it without protection"
        super().__init__(message, FailureCategory.PROTECTED)


@dataclass(slots=True)
class Budget:
    """What a document may still take, together with all files attached to it and to each other."""

    size: int = MAX_TOTAL
    files: int = 0

    def take(self, size: int) -> None:
        """Counts bytes that are unpacked. Raises XdwError."""
        if size > self.size:
            message = f"the document expands to more than {MAX_TOTAL:,} bytes in all"
            raise XdwError(message, FailureCategory.TOO_LARGE)
        self.size -= max(size, 0)

    def take_file(self) -> int:
        """The number, from 1, of an attached file. Raises XdwError."""
        if self.files >= MAX_FILES:
            raise XdwError(f"files beyond the first {MAX_FILES} were not read", FailureCategory.TOO_LARGE)
        self.files += 1
        return self.files


class State(NamedTuple):
    """What one trailer vouches for. `checks`: check values of entries that it lists itself."""

    offsets: tuple[int, ...]
    properties: bytes
    checked: bool
    checks: dict[int, int]


def read_header(data: Buffer) -> tuple[Root, int]:
    """What the file is, and its format's generation: 7 by DocuWorks 7 and 8, 10 by 9 and 10. Raises XdwError."""
    found = element(data, 0, min(len(data), 64))
    said = fields(bytes(data[found.start : found.end]))
    if found.tag != _HEADER or said.get(0x83) != _GUARD:
        raise XdwError("the header is damaged")
    try:
        return Root(integer(said.get(0x80, b"")) & 0xFFFF), integer(said.get(0x82, b""))
    except ValueError:
        raise XdwError("the header names neither a document nor a binder") from None


class Container:
    """A file with the last state of it that can be read.

    `loss` says what was lost where that is not the file's end; `salvaged` that no state could be read, so that
    there are entries only.
    """

    def __init__(self, data: Buffer, budget: Budget) -> None:
        """Raises XdwError; ProtectedError where the content is encrypted."""
        self._data = data
        self.budget = budget
        self._losses: list[Loss] = []
        self._compared: set[int] = set()
        self._altered: dict[int, Loss] = {}
        self.root, self.generation = read_header(data)
        self.loss: str | None = None
        self.salvaged = False
        self._state = self._last_state()
        if not self._state.checked and self.loss is None:
            self.loss = "the properties do not have the check value that was stored with them"

    @property
    def properties(self) -> bytes:
        return self._state.properties

    @property
    def entry_count(self) -> int:
        return len(self._state.offsets)

    def entry(self, index: int) -> bytes:
        """The body of an entry; `take_losses` tells where it was altered. Raises XdwError."""
        if not 0 <= index < self.entry_count:
            raise XdwError("a reference leads to no entry")
        found = self._entry_at(self._state.offsets[index])
        said: dict[int, Element] = {}
        for field in elements(self._data, found.start, found.end):
            said.setdefault(field.tag, field)
        if 0x82 not in said:
            raise XdwError("an entry has no body")
        body = bytes(self._data[said[0x82].start : said[0x82].end])
        if 0x81 in said and index not in self._compared:
            self._compared.add(index)
            stored = integer(self._data[said[0x81].start : said[0x81].end]) & 0xFFFFFFFF
            if not self._is_as_stored(index, check_value(body), stored):
                message = f"entry {index} does not have the check value that was stored with it"
                self._altered[index] = Loss(FailureCategory.CORRUPT, message)
        if index in self._altered:
            self._losses.append(self._altered[index])
        return body

    def _is_as_stored(self, index: int, value: int, stored: int) -> bool:
        """The trailer has check values of some pictures, beside which those in their entries may be 0."""
        listed = self._state.checks.get(index)
        return value in (stored, listed) or (listed is not None and not stored)

    def take_losses(self) -> list[Loss]:
        """What was lost by reading since this was asked before, each once."""
        taken, self._losses = self._losses, []
        return [*dict.fromkeys(taken)]

    def _entry_at(self, offset: int) -> Element:
        found = element(self._data, offset, len(self._data))
        if found.tag == _PROTECTED_ENTRY:
            raise ProtectedError
        if found.tag != _ENTRY:
            raise XdwError("a reference leads to no entry")
        return found

    def expand(self, stream: bytes, size: int) -> bytes:
        """Unpacks a stream. Raises XdwError, also where all of them together pass their limit."""
        if size <= lh5.MAX_EXPANDED:
            self.budget.take(size)
        return lh5.expand(stream, size)

    def _last_state(self) -> State:
        reason: XdwError | None = None
        for end in self._ends():
            try:
                state = self._state_at(end)
            except ProtectedError:
                raise
            except XdwError as error:
                reason = reason or error
                continue
            if end != len(self._data):
                self.loss = "the file is damaged after what was saved before; that was read"
            return state
        return self._salvage(reason)

    def _ends(self) -> Iterator[int]:
        """Where a trailer may end: at the end of the file, else of an earlier state, or before other bytes."""
        yield len(self._data)
        at = len(self._data)
        for _ in range(_MOST_TRIES):
            at = self._data.rfind(_LAST_FIELD, 0, at)
            if at < 0:
                return
            if at + 6 < len(self._data):
                yield at + 6

    def _state_at(self, end: int) -> State:
        trailer = self._trailer_ending(end)
        said = fields(bytes(self._data[trailer.start : trailer.end]))
        at = trailer.start - _header_length(self._data, trailer)
        stored = integer(said.get(0x84, b""))
        if stored > MAX_PROPERTIES:
            raise XdwError(f"the properties have {stored:,} bytes; the limit is {MAX_PROPERTIES:,}")
        found = ends_with(self._data, _PROPERTIES, at - stored, at) if stored > 0 else None
        if found is None:
            raise XdwError("the trailer does not follow its properties")
        offsets = self._offsets(said, found.start)
        if found.tag == _PROTECTED or (offsets and self._data[offsets[0]] == _PROTECTED_ENTRY):
            raise ProtectedError
        value = bytes(self._data[at - stored : at])
        pairs = said.get(0x8D, b"")
        checks = dict(struct.iter_unpack("<II", pairs[: len(pairs) // 8 * 8]))
        stated = integer(said.get(0x85, b"")) & 0xFFFFFFFF
        if found.tag == _PLAIN:  # DocuWorks states none there
            return State(offsets, value, not stated or stated == check_value(value), checks)
        checked = stated == check_value(value)
        return State(offsets, self.expand(value, integer(said.get(0x83, b""))), checked, checks)

    def _trailer_ending(self, end: int) -> Element:
        if end < 8:
            raise XdwError("the file is cut off")
        (length,) = struct.unpack("<I", self._data[end - 4 : end])
        if not 4 < length <= min(_LONGEST_TRAILER, end):
            raise XdwError("the file is cut off or damaged at its end")
        found = ends_with(self._data, _TRAILERS, end - length, end)
        if found is None:
            raise XdwError("the file is cut off or damaged at its end")
        return Element(found.tag, end - length, end)

    def _offsets(self, said: dict[int, bytes], end: int) -> tuple[int, ...]:
        count = integer(said.get(0x80, b""))
        packed = said.get(0x81, b"")
        if not 0 <= count <= MAX_ENTRIES or len(packed) < 4 * count:
            raise XdwError("the trailer's list of entries is damaged")
        offsets = struct.unpack(f"<{count}I", packed[: 4 * count])
        if any(not 16 <= offset < end for offset in offsets):
            raise XdwError("the trailer lists entries outside the file")
        return offsets

    def _salvage(self, reason: XdwError | None) -> State:
        """Entries as they follow each other from the file's start, where no trailer can be read."""
        offsets = tuple(self._entries_in_order())
        if not offsets:
            raise reason or XdwError("the file is cut off")
        self.salvaged = True
        self.loss = (
            "the file is cut off or damaged at its end; what lies before it was read, without its order"
        )
        return State(offsets, b"", checked=True, checks={})

    def _entries_in_order(self) -> Iterator[int]:
        at = element(self._data, 0, len(self._data)).end
        for _ in range(MAX_ENTRIES):
            if at + 6 > len(self._data):
                return
            tag, length = self._data[at], self._data[at + 1]
            header = 2 + (length - 0x80 if length > 0x80 else 0)
            if tag == _SEGMENT:
                at += header
                continue
            try:
                found = element(self._data, at, len(self._data))
            except XdwError:
                return
            if tag in (_PROTECTED_ENTRY, _PROTECTED):
                raise ProtectedError
            if tag == _ENTRY:
                yield at
            elif tag not in _PROPERTIES | _TRAILERS:
                return
            at = found.end


def _header_length(data: Buffer, trailer: Element) -> int:
    found = ends_with(data, _TRAILERS, trailer.start, trailer.end)
    assert found is not None  # noqa: S101 - it was found before
    return trailer.start - found.start
