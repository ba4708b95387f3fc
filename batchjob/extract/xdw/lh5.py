"""Expands `-lh5-` streams, by which DocuWorks packs properties, drawings, thumbnails and attached files.

Lhasa decodes them. It takes archives only, so each stream is put into one of its own, whose header is of level 0
(a size, a sum, then method, sizes, time, attribute, level, name and check value).
"""

import struct

import pylhasa

from batchjob.errors import FailureCategory
from batchjob.extract.xdw.tlv import XdwError

MAX_EXPANDED = 64 * 1024 * 1024
"""Bytes of one stream: a page of drawing commands has well under one million, attached files seldom more."""
_METHOD = b"-lh5-"


def expand(stream: bytes, size: int) -> bytes:
    """The first `size` bytes that a stream stands for, whatever it goes on to. Raises XdwError."""
    if size < 0:
        raise XdwError("packed data claims a negative size")
    if size > MAX_EXPANDED:
        message = f"packed data claims {size:,} bytes; the limit is {MAX_EXPANDED:,}"
        raise XdwError(message, FailureCategory.TOO_LARGE)
    if not size:
        return b""
    try:
        with pylhasa.open_bytes(_archive(stream, size)) as archive:
            data: bytes = next(iter(archive)).open().read(size)
    except (pylhasa.PylhasaError, StopIteration, OSError, ValueError):
        data = b""
    if len(data) != size:
        raise XdwError(f"packed data is damaged: {len(data):,} of {size:,} bytes could be unpacked")
    return data


def _archive(stream: bytes, size: int) -> bytes:
    """An archive of one file; the check value of its content is not known, and not asked for."""
    rest = struct.pack("<5sIIIBBB1sH", _METHOD, len(stream), size, 0, 0x20, 0, 1, b"x", 0)
    return bytes([len(rest), sum(rest) & 0xFF]) + rest + stream + b"\0"
