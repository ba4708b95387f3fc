"""Writes DocuWorks files of every kind that docs/docuworks.md describes, for tests of the reader."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.lh5 import pack, pack_literals

A4 = (21_000, 29_700)
QUICK = 100_000
"""Bytes from which packing takes too long in a test."""
DOCUMENT, BINDER = 0xC013, 0xC014
NUMBER, BYTES, PAIR = 2, 4, 107


def element(tag: int, value: bytes) -> bytes:
    if len(value) < 0x80:
        head = bytes([tag, len(value)])
    elif len(value) < 0xFF:
        head = bytes([tag, 0x81, len(value)])
    else:
        size = max((len(value).bit_length() + 7) // 8, 2)
        head = bytes([tag, 0x80 + size]) + len(value).to_bytes(size, "big")
    return head + value


def integer(value: int) -> bytes:
    """Signed, big-endian, as short as it can be."""
    size = ((value if value >= 0 else ~value).bit_length() + 8) // 8
    return value.to_bytes(size, "big", signed=True)


def numbers(*values: int) -> bytes:
    return b"".join(bytes([len(integer(value))]) + integer(value) for value in values)


def check(data: bytes) -> int:
    value = 0
    for (word,) in struct.iter_unpack("<I", data[: len(data) // 4 * 4]):
        value ^= word
    return value


def _signed(value: int) -> bytes:
    return integer(value - (1 << 32) if value >> 31 else value)


class Ref(NamedTuple):
    """A reference to an entry."""

    data: bytes


Stored = bytes | Ref


def _attribute(number: int, value: Stored) -> bytes:
    kind = 0xC0 if isinstance(value, Ref) else 0x80
    data = value.data if isinstance(value, Ref) else value
    if number < 31:
        return element(kind | number, data)
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    *first, last = reversed(groups)
    return bytes([kind | 0x1F, *first]) + element(last, data)


class Named(NamedTuple):
    """A named attribute."""

    name: str
    value: Stored
    type: int = BYTES
    number: int = -1


@dataclass
class Object:
    """An object of the tree."""

    kind: int
    attributes: dict[int, Stored] = field(default_factory=dict)
    named: list[Named] = field(default_factory=list)
    children: "list[Object]" = field(default_factory=list)

    def records(self, depth: int = 0) -> bytes:
        parts = [_attribute(number, value) for number, value in self.attributes.items()]
        definitions = b""
        for tag, named in enumerate(self.named, 2001):
            name = named.name.encode() + b"\0"
            definitions += numbers(tag, named.type, named.number, len(name)) + bytes([len(name)]) + name
            parts.append(_attribute(tag, named.value))
        if definitions:
            parts.append(_attribute(51, definitions))
        head = element(0x80, bytes([depth])) + element(0x62, integer(self.kind))
        below = b"".join(child.records(depth + 1) for child in self.children)
        return element(0x62, head + b"".join(parts)) + below


def text(name: str, value: str) -> Named:
    return Named(name, value.encode("cp932") + b"\0")


def wide_text(name: str, value: str) -> Named:
    return Named(f"{name}(w", value.encode("utf-16-le") + b"\0\0")


def body(kind: int, data: bytes, *, packed: bool = False, size: tuple[int, int] = A4, **fields: int) -> bytes:
    """A drawing. `pixels` and `per_metre` as for scans; `sub_header` as for bitmaps."""
    names = {"across": 0x87, "down": 0x88, "per_metre": 0x8B}
    said = {
        0x84: size[0],
        0x85: size[1],
        **{names[name]: value for name, value in fields.items() if name in names},
    }
    stored = pack(data) if packed else data
    parts = [element(0x80, integer(kind))]
    if kind in (1, 4) or "sub_header" in fields:
        parts.append(element(0x81, integer(fields.get("sub_header", len(data)))))
    parts += [element(tag, integer(value)) for tag, value in said.items()]
    if packed:
        parts.append(element(0x8A, b"\1"))
    return b"".join([*parts, element(0x89, integer(len(stored))), element(0x86, stored)])


def placed(child: Object, at: tuple[int, int] = (0, 0), size: tuple[int, int] = A4) -> Object:
    return Object(0x1302, {52: numbers(*at)}, [Named("childdim", numbers(*size), PAIR)], [child])


def content(drawing: Stored, *, pictures: Sequence[Stored] = (), **attributes: Stored) -> Object:
    """What a program printed. `a58`: the attribute 58, the preview; likewise others."""
    given = {int(name[1:]): value for name, value in attributes.items()}
    listed = dict(enumerate(pictures[:100], 301))
    more = [Named("#pd", value, 107, number) for number, value in enumerate(pictures[100:], 101)]
    count = {300: len(pictures).to_bytes(2, "little")} if pictures else {}
    return Object(0x8010, {7: drawing, **count, **listed, **given}, more)


def note(words: str, *, wide: bool = True, drawing: bytes | None = None) -> Object:
    named = wide_text("%Text", words) if wide else text("%Text", words)
    return Object(0x8011, {7: drawing} if drawing else {}, [named])


def page(*objects: Object, size: tuple[int, int] = A4) -> Object:
    """Its objects fill it, unless they are placed already."""
    children = [child if child.kind == 0x1302 else placed(child, size=size) for child in objects]
    return Object(0x1301, {5: numbers(*size), 3: numbers(1)}, [], children)


def document(
    *pages: Object,
    attributes: dict[int, Stored] | None = None,
    named: Sequence[Named] = (),
    forms: Sequence[Object] = (),
    originals: Sequence[Object] = (),
) -> Object:
    children = [
        Object(0x1303, {}, [Named("lastmid", numbers(len(pages)), NUMBER)], list(pages)),
        Object(0x1304, {}, [], [Object(0x1402, {}, [], list(forms))] if forms else []),
        Object(0x1306, {}, [], list(originals)),
        Object(0x1305),
    ]
    return Object(DOCUMENT, attributes or {}, list(named), children)


def binder(*documents: Object, name: str | None = None) -> Object:
    slots = [Object(0x1402, {}, [], [member]) for member in documents]
    attributes: dict[int, Stored] = {4: name.encode("utf-16-le") + b"\0"} if name else {}
    return Object(BINDER, attributes, [], [Object(0x1401, {}, [], slots), Object(0x1304)])


class Entries:
    """The raw entries of a file."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def add(self, data: bytes) -> Ref:
        self.bodies.append(data)
        return Ref(element(0x81, integer(len(self.bodies) - 1)) + element(0x82, integer(len(data))))

    def add_packed(self, data: bytes) -> Ref:
        stored = pack(data)
        self.bodies.append(stored)
        sizes = element(0x82, integer(len(data))) + element(0x83, integer(len(stored)))
        return Ref(element(0x81, integer(len(self.bodies) - 1)) + sizes)

    def attached(self, name: str, data: bytes, *, packed: bool = True) -> Object:
        """A file attached to a document."""
        reference = self.add_packed(data) if packed else self.add(data)
        named = [Named("nd", reference), text("nf", name), Named("ut", numbers(0), NUMBER)]
        return Object(0x1307, {}, named)


@dataclass(frozen=True)
class Form:
    """How a file is written. `trailer`: fields that replace the true ones, None to leave one out."""

    generation: int = 10
    plain: bool = False
    protected: bool = False
    protected_entries: bool = False
    trailer: dict[int, bytes | None] = field(default_factory=dict)


def write(root: Object, entries: Entries | None = None, form: Form | None = None) -> bytes:
    form = form or Form()
    begin = header(root.kind, form.generation)
    return begin + segment(root, entries or Entries(), form, at=len(begin))


def header(kind: int, generation: int = 10) -> bytes:
    inner = element(0x82, integer(generation)) + element(0x80, integer(kind)) + element(0x83, b"\1\r\n\1")
    return element(0x60, inner)


def append(before: bytes, root: Object, entries: Entries | None = None, form: Form | None = None) -> bytes:
    """The file saved once more."""
    return before + segment(root, entries or Entries(), form or Form(), at=len(before))


def segment(root: Object, entries: Entries, form: Form, *, at: int) -> bytes:
    """A segment that begins at `at`; what its own header takes depends on its length."""
    records = root.records()
    stored = records if form.plain else (pack if len(records) < QUICK else pack_literals)(records)
    for header_size in range(2, 7):
        value = _segment_value((records, stored), entries, form, at + header_size)
        made = element(0x61, value)
        if len(made) - len(value) == header_size:
            return made
    raise AssertionError("no header fits")


def _segment_value(properties: tuple[bytes, bytes], entries: Entries, form: Form, at: int) -> bytes:
    records, stored = properties
    offsets, parts = [], []
    for data in entries.bodies:
        offsets.append(at + sum(map(len, parts)))
        tag = 0x67 if form.protected_entries else 0x64
        parts.append(element(tag, element(0x81, _signed(check(data))) + element(0x82, data)))
    tag = 0x66 if form.protected else 0x62 if form.plain else 0x63
    values: dict[int, bytes | None] = {
        0x80: integer(len(offsets)),
        0x81: struct.pack(f"<{len(offsets)}I", *offsets) if offsets else None,
        0x82: integer(0),
        0x83: integer(len(records)),
        0x84: integer(len(stored)),
        0x85: integer(0) if form.plain else _signed(check(stored)),
    }
    values |= form.trailer
    fields = b"".join(element(number, value) for number, value in values.items() if value is not None)
    length = struct.pack("<I", len(fields) + 6)
    trailer = element(0x68 if form.generation >= 10 else 0x65, fields + element(0x86, length))
    return b"".join(parts) + element(tag, stored) + trailer
