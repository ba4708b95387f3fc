"""Unpacks Flate data of PDFs where PDFium hands it out packed; for lost_picture.py and lost_content.py."""

import zlib

_PIECE = 4 * 1024 * 1024


def inflated(data: bytes, keep: int) -> bytes | None:
    """The first `keep` bytes, None where it is no whole zlib stream (RFC 1950); its checksum may be missing."""
    if len(data) < 2 or int.from_bytes(data[:2]) % 31:
        return None
    inflater, found, rest = zlib.decompressobj(-zlib.MAX_WBITS), b"", data[2:]
    try:
        while rest and not inflater.eof:
            piece = inflater.decompress(rest, _PIECE)
            found, rest = found + piece[: keep - len(found)], inflater.unconsumed_tail
    except zlib.error:
        return None
    return found if inflater.eof else None
