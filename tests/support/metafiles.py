"""Writes the metafiles and bitmaps that printed pages are stored as, for tests of the DocuWorks reader."""

import struct

SOURCE_COPY = 0x00CC0020
A4_PIXELS = (4961, 7016)
"""At 600 dpi."""


class Emf:
    """An enhanced metafile of an A4 page on a device of 600 dpi."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._handles = 0

    def record(self, kind: int, data: bytes = b"") -> "Emf":
        data += b"\0" * (-len(data) % 4)
        self._records.append(struct.pack("<II", kind, 8 + len(data)) + data)
        return self

    def font(
        self, charset: int, height: int = -50, escapement: int = 0, face: str = "ＭＳ ゴシック"
    ) -> "Emf":
        """Makes a font and selects it."""
        self._handles += 1
        log = struct.pack("<5i8x", height, 0, escapement, escapement, 400)
        log += face.encode("utf-16-le").ljust(64, b"\0")
        log = log[:23] + bytes([charset]) + log[24:]
        return self.record(82, struct.pack("<i", self._handles) + log).record(
            37, struct.pack("<i", self._handles)
        )

    def text(self, words: str, x: int, y: int, *, options: int = 0, step: int | None = None) -> "Emf":
        return self._text(84, words.encode("utf-16-le"), len(words), x, y, options, step)

    def text_8bit(self, words: bytes, x: int, y: int, *, options: int = 0) -> "Emf":
        return self._text(83, words, len(words), x, y, options, None)

    def _text(
        self, kind: int, data: bytes, count: int, x: int, y: int, options: int, step: int | None
    ) -> "Emf":
        padded = data + b"\0" * (-len(data) % 4)
        steps = struct.pack(f"<{count}i", *[step] * count) if step is not None else b""
        spacing = 76 + len(padded) if steps else 0
        head = struct.pack("<4iIff", 0, 0, -1, -1, 1, 1.0, 1.0)
        head += struct.pack("<2iIII4iI", x, y, count, 76, options, 0, 0, -1, -1, spacing)
        return self.record(kind, head + padded + steps)

    def small_text(self, words: bytes, x: int, y: int) -> "Emf":
        head = struct.pack("<2iIIIff", x, y, len(words), 0x300, 1, 1.0, 1.0)
        return self.record(108, head + words)

    def stretch(self, bitmap: tuple[bytes, bytes], place: tuple[int, int, int, int]) -> "Emf":
        """Draws a bitmap (header, bits) at left, top, width, height."""
        header, bits = bitmap
        width, height = struct.unpack_from("<ii", header, 4)
        data = struct.pack("<4i", 0, 0, -1, -1)
        data += struct.pack("<6i", place[0], place[1], 0, 0, width, abs(height))
        data += struct.pack(
            "<4iII2i", 80, len(header), 80 + len(header), len(bits), 0, SOURCE_COPY, *place[2:]
        )
        return self.record(81, data + header + bits)

    def comment(self, data: bytes) -> "Emf":
        return self.record(70, struct.pack("<I", len(data)) + data)

    def inline_picture(self, bitmap: tuple[bytes, bytes]) -> "Emf":
        header, bits = bitmap
        sizes = struct.pack("<4i", 32, len(header), 32 + len(header), len(bits))
        return self.comment(b"DWa\0" + sizes + header + bits)

    def next_picture(self) -> "Emf":
        return self.comment(b"DWb\0")

    def draw_picture(self, place: tuple[int, int, int, int], part: tuple[int, int]) -> "Emf":
        values = (0, 0, 0, 0, place[0], place[1], 0, 0, *part, 0, SOURCE_COPY, *place[2:])
        return self.comment(b"DWc\0" + struct.pack("<14i", *values))

    def bytes(self) -> bytes:
        end = struct.pack("<5I", 14, 20, 0, 16, 20)
        size = 108 + sum(map(len, self._records)) + len(end)
        header = struct.pack("<II4i4i", 1, 108, 0, 0, *A4_PIXELS, 0, 0, 21_000, 29_700)
        header += b" EMF" + struct.pack("<IIIHHIII", 0x10000, size, len(self._records) + 2, 8, 0, 0, 0, 0)
        header += struct.pack("<4i", *A4_PIXELS, 210, 297)
        return b"".join([header.ljust(108, b"\0"), *self._records, end])


class Wmf:
    """A metafile without a placeable header."""

    def __init__(self) -> None:
        self._records: list[bytes] = []

    def record(self, function: int, data: bytes = b"") -> "Wmf":
        data += b"\0" * (len(data) % 2)
        self._records.append(struct.pack("<IH", 3 + len(data) // 2, function) + data)
        return self

    def font(self, charset: int, slot: int, face: bytes = b"Gothic") -> "Wmf":
        log = struct.pack("<5h8B", -50, 0, 0, 0, 400, 0, 0, 0, charset, 0, 0, 0, 0) + face + b"\0\0"
        return self.record(0x02FB, log).record(0x012D, struct.pack("<H", slot))

    def text(self, words: bytes, x: int, y: int, *, options: int = 0) -> "Wmf":
        rectangle = struct.pack("<4h", 0, 0, 0, 0) if options & 6 else b""
        return self.record(0x0A32, struct.pack("<4h", y, x, len(words), options) + rectangle + words)

    def plain_text(self, words: bytes, x: int, y: int) -> "Wmf":
        padded = words + b"\0" * (len(words) % 2)
        return self.record(0x0521, struct.pack("<h", len(words)) + padded + struct.pack("<hh", y, x))

    def stretch(self, bitmap: tuple[bytes, bytes], place: tuple[int, int, int, int]) -> "Wmf":
        header, bits = bitmap
        width, height = struct.unpack_from("<ii", header, 4)
        left, top, across, down = place
        values = (0, height, width, 0, 0, down, across, top, left)
        return self.record(0x0F43, struct.pack("<I9h", SOURCE_COPY, *values) + header + bits)

    def escape(self, data: bytes) -> "Wmf":
        return self.record(0x0626, struct.pack("<HH", 15, len(data)) + data)

    def bytes(self) -> bytes:
        body = b"".join(self._records) + struct.pack("<IH", 3, 0)
        head = struct.pack("<HHHIHIH", 1, 9, 0x300, 9 + len(body) // 2, 16, 0, 0)
        return head + body


def bitmap(rows: list[bytes], width: int, bits: int, *, compression: int = 0) -> tuple[bytes, bytes]:
    """Header and bits of a bitmap with the bottom row first; `rows` from the top, packed already."""
    colours = b"".join(
        bytes([shade] * 3 + [0]) for shade in (range(0, 256, 255) if bits == 1 else range(256))
    )
    padded = b"".join(row + b"\0" * (-len(row) % 4 if not compression else 0) for row in reversed(rows))
    header = struct.pack("<IiiHHIIiiII", 40, width, len(rows), 1, bits, compression, len(padded), 0, 0, 0, 0)
    return header + (colours if bits <= 8 else b""), padded
