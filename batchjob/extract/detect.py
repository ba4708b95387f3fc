"""Says what a file is by its first bytes, never by its name; the parse child asks this first."""

import re
from enum import StrEnum
from typing import NamedTuple

from batchjob.errors import FailureCategory

HEAD = 4096
"""Bytes that are looked at."""
_PDF_HEADER_WITHIN = (
    1024  # ISO 32000-1, annex H.3.4.1: readers accept the header within the first 1,024 bytes
)
_LATE_PDF_HEADER = re.compile(rb"%PDF-[12]\.[0-9][\r\n]")
"""PDFium takes no header so late, but the second reader does."""
_UNKNOWN = ("application/octet-stream", "text/plain")


class Kind(StrEnum):
    """What is read, as MIME types."""

    PDF = "application/pdf"
    JPEG = "image/jpeg"
    PNG = "image/png"
    TIFF = "image/tiff"
    BMP = "image/bmp"
    GIF = "image/gif"
    WEBP = "image/webp"
    XDW = "application/vnd.fujixerox.docuworks"
    XBD = "application/vnd.fujixerox.docuworks.binder"


DOCUWORKS = frozenset({Kind.XDW, Kind.XBD})


class NotReadError(Exception):
    """A file that is not read, why, and its MIME type as far as it shows."""

    def __init__(self, category: FailureCategory, mime_type: str, message: str) -> None:
        super().__init__(message)
        self.category = category
        self.mime_type = mime_type
        self.message = message


class Loss(NamedTuple):
    """Something that was not read, and why."""

    category: FailureCategory
    message: str


_IMAGES = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
)
_OTHERS = (
    (b"PK\x03\x04", "application/zip", "a ZIP archive or a file of an office program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", "a file of an older office program"),
    (b"{\\rtf", "application/rtf", "a rich text file"),
    (b"%!PS", "application/postscript", "a PostScript file"),
    (b"8BPS", "image/vnd.adobe.photoshop", "a Photoshop image"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "a 7z archive"),
    (b"\x1f\x8b", "application/gzip", "a gzip archive"),
    (b"Rar!", "application/vnd.rar", "a RAR archive"),
    (b"<?xml", "text/xml", "an XML file"),
    (b"<!DOCTYPE html", "text/html", "a web page"),
    (b"<html", "text/html", "a web page"),
)
_DOCUWORKS_START = b"\x60\x0e\x82\x01"
_DOCUWORKS_GUARD = b"\x83\x04\x01\x0d\x0a\x01"
_DOCUWORKS_WITHIN = 32
_BINDER = b"\x80\x03\x00\xc0\x14"
_NO_DOCUWORKS = (b"XDWF", b"XBDF")
"""What fabricated samples begin with."""


def detect(head: bytes) -> Kind:
    """The kind of a file that begins with `head`, its first HEAD bytes or all of it. Raises NotReadError."""
    if not head:
        raise NotReadError(FailureCategory.EMPTY, "application/x-empty", "the file is empty")
    if head.startswith(b"\x60") and _DOCUWORKS_GUARD in head[:_DOCUWORKS_WITHIN]:
        return Kind.XBD if _BINDER in head[:_DOCUWORKS_WITHIN] else Kind.XDW
    if b"%PDF-" in head[: _PDF_HEADER_WITHIN + 4]:
        return Kind.PDF
    for magic, kind in _IMAGES:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind.WEBP
    if head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00":
        return Kind.BMP
    error = _not_read(head)
    if error.mime_type in _UNKNOWN and _LATE_PDF_HEADER.search(head):
        return Kind.PDF
    raise error


def _not_read(head: bytes) -> NotReadError:
    if head.startswith((*_NO_DOCUWORKS, _DOCUWORKS_START)):
        message = "the DocuWorks file is damaged: it does not begin as DocuWorks writes its files"
        return NotReadError(FailureCategory.CORRUPT, Kind.XDW, message)
    for magic, mime_type, words in _OTHERS:
        if head.startswith(magic):
            return _unsupported(mime_type, words)
    if head[4:8] == b"ftyp":
        return _unsupported("application/octet-stream", "a video or an HEIF image")
    if _is_text(head):
        return _unsupported("text/plain", "plain text")
    return _unsupported("application/octet-stream", "of no kind that is known here")


def _unsupported(mime_type: str, words: str) -> NotReadError:
    message = f"the content is {words}; only PDF, DocuWorks, JPEG, PNG, TIFF, BMP, GIF and WebP are read"
    return NotReadError(FailureCategory.UNSUPPORTED, mime_type, message)


def _is_text(head: bytes) -> bool:
    """No NUL, and nearly only characters of UTF-8, UTF-16 with its mark, or Shift JIS."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\x00" in head:
        return False
    for encoding in ("utf-8", "cp932"):
        text = head.decode(encoding, errors="replace")
        odd = sum(
            character == "\ufffd" or (character < " " and character not in "\t\n\r\f") for character in text
        )
        if odd <= len(text) // 100 + 1:
            return True
    return False
