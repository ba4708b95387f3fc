"""The documents that must fail well: each is refused for one reason."""

import struct
import zlib

from reportlab.lib.pdfencrypt import StandardEncryption

from sampledocs.paper import paragraphs, print_pdf, title


def truncated(whole: bytes) -> bytes:
    """The first two fifths of a PDF: catalogue and cross references are gone, nothing can be rebuilt."""
    return whole[: len(whole) * 2 // 5]


def password_protected() -> bytes:
    """A PDF that opens with its user password only (RC4 128 bit: the old cipher needs no random salt)."""
    story = [title("人事評価表"), *paragraphs(["この文書は閲覧に利用者パスワードが必要です。"])]
    lock = StandardEncryption("sample-user", ownerPassword="sample-owner", strength=128)
    return print_pdf(story, "人事評価表", encrypt=lock)


def empty() -> bytes:
    """No bytes at all."""
    return b""


def plain_text() -> bytes:
    """A text file; the sample gives it a name that ends in .pdf."""
    return "これはテキストファイルです。\nThis is a note, not a PDF file.\n".encode()


def huge_image() -> bytes:
    """A PNG of a few bytes whose header declares 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1024))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
