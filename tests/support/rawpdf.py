"""Writes PDFs object by object, so that they can hold what no library would write."""

import zlib

MIB = 1024 * 1024
Objects = dict[int, bytes]


def pdf(objects: Objects, *, trailer: bytes = b"") -> bytes:
    """A file of these objects with a true cross-reference table; object 1 is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n" % size
    for number in range(size):
        used = number in offsets
        out += b"%010d %05d %c \n" % (offsets.get(number, 0), 0 if used else 65535, b"n" if used else b"f")
    out += b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), entries, data)


def flate(data: bytes, entries: bytes = b"") -> bytes:
    return stream(zlib.compress(data), b"/Filter /FlateDecode " + entries)


def image(data: bytes, width: int, height: int, entries: bytes) -> bytes:
    """An image of 8-bit gray unless `entries` says otherwise."""
    colours = b"" if b"/ColorSpace" in entries else b"/ColorSpace /DeviceGray "
    bits = b"" if b"/BitsPerComponent" in entries else b"/BitsPerComponent 8 "
    size = b"/Type /XObject /Subtype /Image /Width %d /Height %d " % (width, height)
    return stream(data, size + colours + bits + entries)


def one_page(
    content: bytes, more: Objects | None = None, *, resources: bytes = b"", box: bytes = b"0 0 595 842"
) -> bytes:
    """A page with this content stream; `more` are objects from number 10, `page` entries go into `resources`."""
    return page_with(stream(content), more, resources=resources, box=box)


def page_with(
    content: bytes,
    more: Objects | None = None,
    *,
    resources: bytes = b"",
    box: bytes = b"0 0 595 842",
    page: bytes = b"",
    catalogue: bytes = b"",
) -> bytes:
    """The same with a stream object as it is to stand in the file."""
    font = b"/Font << /F1 5 0 R /F2 10 0 R >>" if b"/Font" not in resources else b""
    return pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalogue,
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [%b] /Contents 4 0 R /Resources << %b %b >> %b >>"
            % (box, font, resources, page),
            4: content,
            5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            **(more or {}),
        }
    )


def words(text: str = "The shaft seal was replaced on Monday") -> bytes:
    return b"BT /F1 12 Tf 50 700 Td (%b) Tj ET " % text.encode()


def zeros(size: int, before: bytes = b"") -> bytes:
    """`before` and `size` zero bytes, whole MiB, as zlib has them; 1 GB is put together in no time."""
    checksum = zlib.adler32(before)
    high, low = checksum >> 16, checksum & 0xFFFF
    high = (high + size * low) % 65521
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = compressor.compress(before) + compressor.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\x9c" + head + _repeated(bytes(MIB), size // MIB) + (high << 16 | low).to_bytes(4, "big")


def repeated(block: bytes, times: int) -> bytes:
    """A zlib stream of `block` times over."""
    checksum = 1
    for _ in range(times):
        checksum = zlib.adler32(block, checksum)
    return b"\x78\x9c" + _repeated(block, times) + checksum.to_bytes(4, "big")


def _repeated(block: bytes, times: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    return once * times + b"\x03\x00"
