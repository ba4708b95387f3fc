"""What a drawing, a thumbnail or a picture is stored as: its kind, its size on paper, and its data."""

from dataclasses import dataclass
from enum import IntEnum

from batchjob.errors import FailureCategory
from batchjob.extract.xdw.container import Container
from batchjob.extract.xdw.tlv import XdwError, fields, integer, within
from batchjob.extract.xdw.tree import Value, resolve

PER_INCH, PER_METRE = 2540, 100_000
"""Units of geometry: hundredths of a millimetre."""
_EMF_SIGN = b" EMF"
_WMF_SIGNS = (b"\x01\x00\x09\x00", b"\xd7\xcd\xc6\x9a")
_PICTURE_SIGNS = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"BM", b"GIF8")
_SMALLEST_RAW = 17


class Format(IntEnum):
    """Kinds of drawings; the first two are packed."""

    WMF = 1
    EMF = 4
    JPEG = 5
    DIB = 7
    G4 = 9
    PICTURE = 0
    """Not a kind of DocuWorks': a picture file without a body around it."""


@dataclass(frozen=True, slots=True)
class Body:
    """`width` and `height` in 1/100 mm, `pixels` across and down, 0 where they are not stated.

    `sub_header`: where a DIB's own header lies in the data.
    """

    format: Format
    data: bytes
    width: int = 0
    height: int = 0
    pixels: tuple[int, int] = (0, 0)
    per_metre: int = 0
    sub_header: int = 0


def read_body(container: Container, value: Value) -> Body:
    """Raises XdwError; UNSUPPORTED where the kind is not known."""
    return parse_body(container, resolve(container, value))


def parse_body(container: Container, data: bytes) -> Body:
    """A body, or a picture that stands without one. Raises XdwError."""
    said = _fields_of(data)
    if said is None:
        return _raw_picture(data)
    number, content = integer(said[0x80]), said[0x86]
    if content.startswith(_PICTURE_SIGNS) and number not in (Format.WMF, Format.EMF):
        kind = Format.JPEG
    else:
        try:
            kind = Format(number or -1)
        except ValueError:
            message = f"a drawing of kind {number}, which is not known"
            raise XdwError(message, FailureCategory.UNSUPPORTED) from None
    expanded = integer(said.get(0x81, b""))
    if kind in (Format.WMF, Format.EMF):
        content = _expand(container, content, said, expanded)
        kind = _what_it_is(content, kind)
    return Body(
        kind,
        content,
        width=_positive(said, 0x84),
        height=_positive(said, 0x85),
        pixels=(_positive(said, 0x87), _positive(said, 0x88)),
        per_metre=_positive(said, 0x8B),
        sub_header=expanded if kind is Format.DIB else 0,
    )


def _fields_of(data: bytes) -> dict[int, bytes] | None:
    """The fields of a body; None where the data is something else."""
    if data[:1] != b"\x80":
        return None
    try:
        said = fields(data)
    except XdwError:
        return None
    return said if 0x86 in said else None


def _raw_picture(data: bytes) -> Body:
    """A picture with 16 bytes of sizes before it, or bare."""
    for start in (16, 0):
        if data[start : start + 4].startswith(_PICTURE_SIGNS):
            return Body(Format.PICTURE, data[start:])
    if len(data) < _SMALLEST_RAW:
        raise XdwError("a picture has no content")
    raise XdwError("a picture of a kind that is not known", FailureCategory.UNSUPPORTED)


def _expand(container: Container, content: bytes, said: dict[int, bytes], size: int) -> bytes:
    packed = integer(said[0x8A]) == 1 if 0x8A in said else size > len(content)
    return container.expand(content, size) if packed else content


def _what_it_is(content: bytes, kind: Format) -> Format:
    if content[40:44] == _EMF_SIGN:
        return Format.EMF
    if content.startswith(_WMF_SIGNS):
        return Format.WMF
    raise XdwError(f"a drawing is damaged: it is no {kind.name}")


def _positive(said: dict[int, bytes], tag: int) -> int:
    return max(within(integer(said.get(tag, b""))), 0)
