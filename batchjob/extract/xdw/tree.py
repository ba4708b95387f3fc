"""The object tree in a DocuWorks file's properties: records in pre-order, each with a kind and attributes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from batchjob.extract.xdw.container import Container
from batchjob.extract.xdw.tlv import XdwError, element, fields, integer, items, numbers

MAX_RECORDS = 500_000
"""A page with one annotation has five."""
MAX_DEPTH = 32
_RECORD = 0x62
_PRIVATE = 0xC0
_NUMBER = 0x1F
_NAMES = 51
_FIRST_NAMED = 2001
_MOST_NAMES = 65_536
_BYTES = 4
FILE_DATA = "nd"
"""The attribute that holds an attached file."""


class Kind(IntEnum):
    """Kinds of objects that are known."""

    DOCUMENT = 0xC013
    BINDER = 0xC014
    PAGE = 0x1301
    PLACEMENT = 0x1302
    PAGES = 0x1303
    FORMS = 0x1304
    ORIGINALS = 0x1306
    EMBEDDED = 0x800F
    CONTENT = 0x8010
    TEXT_NOTE = 0x8011
    STICKY_NOTE = 0x801A
    MARKER = 0x801B
    DATE_STAMP = 0x8033
    LINE = 0x803C
    RECTANGLE = 0x803D
    ELLIPSE = 0x803E
    PICTURE = 0x803F
    RECEIVED_STAMP = 0x8040
    POLYGON = 0x8042
    SIGNATURE = 0x8043
    SHAPE = 0x8045
    TITLE = 0x8046
    GROUP = 0x8047
    LINK = 0xC02F


KNOWN = frozenset(Kind)


class Value(NamedTuple):
    """An attribute's value, or a reference to the entry that holds it."""

    data: bytes
    is_reference: bool


class Definition(NamedTuple):
    """A named attribute: its tag, its type and its number among those of one name (-1 without)."""

    name: str
    tag: int
    type: int
    number: int


@dataclass(slots=True)
class Node:
    """An object. Its attributes are read when they are asked for."""

    container: Container
    kind: int
    depth: int
    start: int
    end: int
    parent: "Node | None"
    children: "list[Node]" = field(default_factory=list)
    _attributes: dict[int, Value] | None = None
    _definitions: list[Definition] | None = None

    def attribute(self, number: int) -> Value | None:
        """Raises XdwError where the record is damaged."""
        if self._attributes is None:
            self._attributes = _attributes(self.container.properties, self.start, self.end)
        return self._attributes.get(number)

    @property
    def definitions(self) -> list[Definition]:
        """The named attributes. Raises XdwError."""
        if self._definitions is None:
            names = self.attribute(_NAMES)
            self._definitions = [] if names is None else _definitions(resolve(self.container, names))
        return self._definitions

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Named attributes that hold bytes, in their order. Raises XdwError."""
        for definition in self.definitions:
            if definition.type == _BYTES and definition.tag >= _FIRST_NAMED:
                value = self.attribute(definition.tag)
                if value is not None and definition.name != FILE_DATA:
                    yield definition.name, resolve(self.container, value)

    def named(self, name: str) -> Value | None:
        for definition in self.definitions:
            if definition.name == name:
                return self.attribute(definition.tag)
        return None

    @property
    def has_attributes(self) -> bool:
        return self.start < self.end

    def numbers(self, attribute: int) -> list[int]:
        """An attribute's whole numbers; none where it is not there. Raises XdwError."""
        value = self.attribute(attribute)
        return [] if value is None else numbers(resolve(self.container, value))

    def walk(self) -> "Iterator[Node]":
        """All below it, in order."""
        stack = self.children[::-1]
        while stack:
            node = stack.pop()
            yield node
            stack += node.children[::-1]


def read_tree(container: Container) -> Node:
    """The root of the object tree; what is damaged ends it, and is told in the container's `loss`. Raises XdwError."""
    path: list[Node] = []
    root: Node | None = None
    try:
        for node in _nodes(container):
            if node.depth > min(len(path), MAX_DEPTH) or (root is not None and node.depth == 0):
                raise XdwError("the properties are damaged: a record has an impossible depth")
            del path[node.depth :]
            if path:
                node.parent = path[-1]
                path[-1].children.append(node)
            path.append(node)
            root = root or node
    except XdwError as error:
        if root is None:
            raise
        container.loss = container.loss or f"{error.message}; the records before it were read"
    if root is None:
        raise XdwError("the properties are empty")
    return root


def _nodes(container: Container) -> Iterator[Node]:
    data = container.properties
    at, end = 0, len(data)
    for _ in range(MAX_RECORDS):
        if at >= end:
            return
        record = element(data, at, end)
        if record.tag != _RECORD:
            raise XdwError("the properties are damaged: no record where one should begin")
        at = record.end
        yield _node(container, record.start, record.end)
    raise XdwError(f"the properties have more than {MAX_RECORDS:,} records")


def _node(container: Container, start: int, end: int) -> Node:
    data = container.properties
    depth = element(data, start, end)
    kind = element(data, depth.end, end)
    if depth.tag != 0x80 or kind.tag != _RECORD or depth.start == depth.end:
        raise XdwError("the properties are damaged: a record has no depth or no kind")
    level = integer(data[depth.start : depth.end])
    if level < 0:
        raise XdwError("the properties are damaged: a record has an impossible depth")
    number = integer(data[kind.start : kind.end]) & 0xFFFF
    return Node(container, number, level, kind.end, end, None)


def _attributes(data: bytes, start: int, end: int) -> dict[int, Value]:
    found: dict[int, Value] = {}
    at = start
    while at < end:
        tag = data[at]
        number = tag & _NUMBER
        last = at
        if number == _NUMBER:
            number = 0
            while True:
                last += 1
                if last >= end or last > at + 4:
                    raise XdwError("an attribute has an impossible number")
                number = number << 7 | data[last] & 0x7F
                if data[last] < 0x80:
                    break
        value = element(data, last, end)
        found.setdefault(number, Value(data[value.start : value.end], tag & _PRIVATE == _PRIVATE))
        at = value.end
    return found


def _definitions(data: bytes) -> list[Definition]:
    found = []
    parts = items(data)
    for tag, kind, index, _, name in zip(*[parts] * 5, strict=False):
        text = name.split(b"\0")[0].decode("latin-1")
        found.append(Definition(text, integer(tag), integer(kind), integer(index)))
        if len(found) >= _MOST_NAMES:
            break
    return found


class Reference(NamedTuple):
    """An entry's number, the length of what it stands for, and the stored one where that is packed."""

    entry: int
    length: int
    stored: int | None


def reference(value: bytes) -> Reference:
    """Raises XdwError."""
    said = fields(value)
    if 0x81 not in said:
        raise XdwError("a reference names no entry")
    stored = integer(said[0x83]) if 0x83 in said else None
    return Reference(integer(said[0x81]), integer(said.get(0x82, b"")), stored)


def resolve(container: Container, value: Value) -> bytes:
    """The bytes of a value, wherever they are, unpacked where the reference says that they are packed.

    Raises XdwError.
    """
    if not value.is_reference:
        return value.data
    said = reference(value.data)
    data = container.entry(said.entry)
    if said.stored is None:
        return data
    try:
        return container.expand(data[: said.stored], said.length)
    except XdwError:
        if said.stored == said.length == len(data):  # not packed after all
            return data
        raise
