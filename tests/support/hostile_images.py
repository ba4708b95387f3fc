"""Images made to crash, hang or bloat whoever reads them, and other files that are not what they say, by name."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image

from tests.support.documents import scanned_page, text_pdf
from tests.support.hostile_pdfs import GIB, jpx
from tests.support.rawpdf import MIB, zeros


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("L", (width, height), random.Random(1).randbytes(width * height))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, data: bytes, *chunks: bytes, bits: int = 8, colour: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _tiff(
    *directories: list[tuple[int, int, int, int]], following: list[int] | None = None, data: bytes = b""
) -> bytes:
    """Directories of (tag, type, count, value), one after the other; `following` overrides their links."""
    out, offset = b"II*\x00" + struct.pack("<I", 8), 8
    for number, entries in enumerate(directories):
        offset += 2 + 12 * len(entries) + 4
        last = number == len(directories) - 1
        link = following[number] if following else (0 if last else offset)
        out += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
        out += struct.pack("<I", link)
    return out + data


def _frame(
    width: int, height: int, at: int, length: int, compression: int = 1
) -> list[tuple[int, int, int, int]]:
    """Baseline tags (TIFF 6.0, section 8) of a gray frame in one strip."""
    short, long = 3, 4
    return [
        (256, long, 1, width), (257, long, 1, height), (258, short, 1, 8), (259, short, 1, compression),
        (262, short, 1, 1), (273, long, 1, at), (277, short, 1, 1), (278, long, 1, height), (279, long, 1, length),
    ]  # fmt: skip


def _many_frames(count: int) -> bytes:
    """Frames of 4 x 4 pixels that share their strip."""
    each = 2 + 12 * 9 + 4
    return _tiff(*[_frame(4, 4, 8 + count * each, 16)] * count, data=bytes(range(0, 256, 16)))


def _gif(width: int, height: int, frames: int) -> bytes:
    """Frames of 1 x 1 pixel on a canvas of any size."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff"
        + frame * frames
        + b";"
    )


def _webp_canvas(width: int, height: int) -> bytes:
    """An extended file (RFC 9649, 2.7) whose canvas is not that of its picture."""
    picture = encoded(Image.new("RGB", (16, 16), "red"), "WEBP")[12:]
    canvas = struct.pack("<I", 0)[:4] + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bmp(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(64)


def _jpeg_header(width: int, height: int) -> bytes:
    whole = bytearray(encoded(_noise(64, 64), "JPEG"))
    at = whole.index(b"\xff\xc0") + 5
    whole[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


def _many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: each goes over the whole picture again."""
    whole = encoded(_noise(side, side), "JPEG", progressive=True, quality=5)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + whole[-2:]


def _truncated_office_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" * 100)
        archive.writestr("word/document.xml", "<w:t>minutes of the meeting</w:t>" * 1000)
    return buffer.getvalue()[:-200]


def _garbage_with_header() -> bytes:
    noise = random.Random(2)
    return noise.randbytes(500) + b"%PDF-1.4\n" + noise.randbytes(60_000)


IMAGES: dict[str, Callable[[], bytes]] = {
    "1x60000.png": lambda: encoded(_noise(1, 60_000), "PNG"),
    "60000x1.png": lambda: encoded(_noise(60_000, 1), "PNG"),
    "12x60000.png": lambda: encoded(_noise(12, 60_000), "PNG"),
    "60000x12.png": lambda: encoded(_noise(60_000, 12), "PNG"),
    "1x60000.jpg": lambda: encoded(_noise(1, 60_000), "JPEG"),
    "1x1.png": lambda: encoded(_noise(1, 1), "PNG"),
    "bomb-within-limit.png": lambda: _png(4000, 4000, zeros(16 * MIB)),
    "bomb-over-limit.png": lambda: _png(60_000, 60_000, zeros(GIB)),
    "bomb-behind-small.png": lambda: _png(100, 100, zeros(GIB)),
    "bomb-in-text.png": lambda: _png(9, 9, zeros(MIB), _chunk(b"zTXt", b"a\0\0" + zeros(GIB))),
    "bomb-in-profile.png": lambda: _png(9, 9, zeros(MIB), _chunk(b"iCCP", b"a\0\0" + zeros(GIB))),
    "16-bit-lie.png": lambda: _png(4000, 4000, b"x", bits=16, colour=6),
    "no-size.png": lambda: _png(0, 0, b""),
    "65535-frames.tif": lambda: _many_frames(65_535),
    "directories-loop.tif": lambda: _tiff(
        _frame(4, 4, 250, 16), _frame(4, 4, 250, 16), following=[122, 8], data=bytes(99)
    ),
    "directory-is-itself.tif": lambda: _tiff(_frame(4, 4, 8, 16), following=[8], data=bytes(99)),
    "strip-of-4gb.tif": lambda: _tiff(_frame(100, 100, 8, 2**32 - 1)),
    "strip-beyond-the-end.tif": lambda: _tiff(_frame(100, 100, 2**32 - 99, 10_000)),
    "frame-too-large.tif": lambda: _tiff(_frame(2**31 - 1, 2**31 - 1, 8, 100)),
    "second-frame-too-large.tif": lambda: _tiff(_frame(4, 4, 8, 16), _frame(60_000, 60_000, 8, 16)),
    "deflate-bomb.tif": lambda: _tiff(_frame(4000, 4000, 122, GIB // 900, 8), data=zeros(GIB)),
    "tag-of-4-billion.tif": lambda: _tiff([*_frame(4, 4, 8, 16), (273, 4, 2**32 - 1, 8)]),
    "tag-of-all-types.tif": lambda: _tiff([*_frame(4, 4, 8, 16), (700, 12, 2**29, 8), (34675, 7, 2**31, 8)]),
    "no-directory.tif": lambda: b"II*\x00\x08\x00\x00\x00",
    "20000-frames.gif": lambda: _gif(100, 100, 20_000),
    "canvas-65535.gif": lambda: _gif(65_535, 65_535, 1),
    "canvas-16777216.webp": lambda: _webp_canvas(1 << 24, 1 << 24),
    "canvas-4000.webp": lambda: _webp_canvas(4000, 4000),
    "animated.webp": lambda: encoded(
        _noise(64, 64), "WEBP", save_all=True, append_images=[_noise(64, 64)] * 20
    ),
    "two-billion.bmp": lambda: _bmp(2**31 - 1, -(2**31) + 1),
    "runs-without-data.bmp": lambda: _bmp(4000, 4000, 8, 1),
    "strange-bits.bmp": lambda: _bmp(100, 100, 77, 9),
    "header-65500.jpg": lambda: _jpeg_header(65_500, 65_500),
    "header-4000.jpg": lambda: _jpeg_header(4000, 4000),
    "many-scans.jpg": lambda: _many_scans(3500, 400),
    "60000.jp2": lambda: jpx(60_000, 60_000),
}
OTHERS: dict[str, Callable[[], bytes]] = {
    "empty.pdf": bytes,
    "empty.docx": bytes,
    "zeros.pdf": lambda: bytes(100_000),
    "zeros.tif": lambda: bytes(100_000),
    "truncated.docx": _truncated_office_file,
    "office.pdf": _truncated_office_file,
    "header-in-garbage.pdf": _garbage_with_header,
    "only-a-header.pdf": lambda: b"%PDF-1.7\n",
    "a-million-headers.pdf": lambda: b"%PDF-1.7\n" * 1_000_000,
    "a-million-objects.pdf": lambda: b"%PDF-1.7\n" + b"1 0 obj <<>> endobj\n" * 1_000_000,
    "endless-objects.pdf": lambda: b"%PDF-1.7\n" + b"1 0 obj <<\n" * 500_000,
    "picture.pdf": lambda: scanned_page("HELLO")[:4000],
    "document.png": lambda: text_pdf("The shaft seal was replaced on Monday"),
}
NAMES = (
    "-rf *.pdf", "a'b\"c`d$(touch x);e&f|g.pdf", "改行\nとタブ\t.pdf", "\u202egnp.exe.pdf", "\u0007ベル.pdf",
    "全角　空白／スラッシュ.pdf", "💣" * 50 + ".pdf", "%00%2e%2e%2f.pdf", "..pdf", "か\u3099.pdf", "{0}%s\\n.pdf",
)  # fmt: skip
"""Names that are data to us and something else to shells, terminals and formatters."""
