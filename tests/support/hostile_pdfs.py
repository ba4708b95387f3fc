"""PDFs made to crash, hang or bloat whoever reads them, by name."""

import struct
import zlib
from collections.abc import Callable

from tests.support.rawpdf import (
    MIB,
    Objects,
    flate,
    image,
    one_page,
    page_with,
    pdf,
    repeated,
    stream,
    words,
    zeros,
)

GIB = 1024 * MIB
_DRAW_IMAGE = b"q 500 0 0 700 40 40 cm /Im Do Q "
_LINES = b"".join(b"50 %d m 500 %d l S " % (y, y + 3) for y in range(60, 760, 10))
"""Enough paths that the page is drawn for OCR."""


def _tree(kids: bytes, count: int, more: Objects) -> bytes:
    return pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, count),
            4: stream(words()),
            5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            **more,
        }
    )


_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    b" /Resources << /Font << /F1 5 0 R >> >> >>"
)


def _deep_tree(depth: int) -> bytes:
    levels = {
        10 + n: b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>" % (9 + n if n else 2, 11 + n)
        for n in range(depth)
    }
    return _tree(b"10 0 R", 1, levels | {10 + depth: _PAGE})


def _box(box: bytes) -> bytes:
    return one_page(words() + _LINES, box=box)


def _wide_tree(pages: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (10 + n) for n in range(pages))
    return _tree(kids, pages, {10 + n: _PAGE for n in range(pages)})


def _form(content: bytes, resources: bytes = b"", entries: bytes = b"") -> bytes:
    return stream(
        content,
        b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << %b >> %b" % (resources, entries),
    )


def _forms(levels: int, calls: int) -> bytes:
    """Each form draws the next so many times: calls ** levels in all."""
    forms = {10 + n: _form(b"/X Do " * calls, b"/XObject << /X %d 0 R >>" % (11 + n)) for n in range(levels)}
    forms[10 + levels] = _form(_LINES)
    return one_page(words() + b"/X Do", forms, resources=b"/XObject << /X 10 0 R >>")


def _picture(picture: bytes, more: Objects | None = None) -> bytes:
    return one_page(_DRAW_IMAGE, {10: picture, **(more or {})}, resources=b"/XObject << /Im 10 0 R >>")


def _jbig2(width: int, height: int) -> bytes:
    """A page information segment (ITU-T T.88, 7.4.8) and a generic region of the same size without data."""
    page = struct.pack(">IBBBI", 0, 0x30, 0, 1, 19) + struct.pack(">IIIIBH", width, height, 0, 0, 0, 0)
    body = struct.pack(">IIIIB", width, height, 0, 0, 0) + b"\x00" + bytes(8) + bytes(64)
    region = struct.pack(">IBBBI", 1, 0x26, 0, 1, len(body)) + body
    return image(page + region, width, height, b"/BitsPerComponent 1 /Filter /JBIG2Decode")


def jpx(width: int, height: int, components: int = 3) -> bytes:
    """A JPEG 2000 codestream (ISO 15444-1, annex A) of one tile that has no data."""
    parts = b"\x07\x01\x01" * components
    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, width, height, 0, 0, components)
    coding = bytes.fromhex("00 00 0001 00 05 04 04 00 01".replace(" ", ""))
    quantisation = b"\x40" + b"\x40" * 16
    markers = [(0xFF51, size + parts), (0xFF52, coding), (0xFF5C, quantisation)]
    out = b"\xff\x4f" + b"".join(struct.pack(">HH", mark, len(body) + 2) + body for mark, body in markers)
    return out + struct.pack(">HHHIBB", 0xFF90, 10, 0, 0, 0, 1) + b"\xff\x93" + b"\x00" * 16 + b"\xff\xd9"


def _jpx_image(width: int, height: int) -> bytes:
    return image(jpx(width, height), width, height, b"/ColorSpace /DeviceRGB /Filter /JPXDecode")


def _type3(procedure: bytes) -> bytes:
    """A font whose glyph is drawn by `procedure`, in which /F2 is the font itself."""
    font = (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 /LastChar 97"
        b" /Widths [9] /Encoding << /Type /Encoding /Differences [97 /a] >> /CharProcs << /a 11 0 R >>"
        b" /Resources << /Font << /F2 10 0 R >> >> >>"
    )
    return one_page(b"BT /F2 12 Tf 50 700 Td (aaaa) Tj ET " + _LINES, {10: font, 11: stream(procedure)})


def _font(font: bytes, more: Objects | None = None) -> bytes:
    content = b"BT /F2 12 Tf 50 700 Td (Hello there, good morning) Tj ET"
    return one_page(content, {10: font, **(more or {})})


def _object_stream(data: bytes, entries: bytes) -> bytes:
    """A file whose catalogue lies in an object stream, found through a cross-reference stream."""
    body = bytearray(b"%PDF-1.7\n")
    offset = len(body)
    body += b"3 0 obj\n" + stream(data, b"/Type /ObjStm " + entries) + b"\nendobj\n"
    start = len(body)
    rows = [(0, 0, 0), (2, 3, 0), (2, 3, 1), (1, offset, 0), (1, start, 0)]
    data = b"".join(struct.pack(">BIH", *row) for row in rows)
    table = stream(data, b"/Type /XRef /Size 5 /W [1 4 2] /Root 1 0 R")
    return bytes(body) + b"4 0 obj\n" + table + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % start


def _outlines() -> bytes:
    items = {
        10: b"<< /Type /Outlines /First 11 0 R /Last 11 0 R /Count 9 >>",
        11: b"<< /Title (a) /Parent 11 0 R /Next 11 0 R /Prev 11 0 R /First 10 0 R >>",
    }
    return page_with(stream(words()), items, catalogue=b"/Outlines 10 0 R")


def _fields() -> bytes:
    """Form fields that are each other's parents and draw themselves."""
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (b) /Rect [50 50 300 300] /Parent %d 0 R"
        b" /Kids [%d 0 R] /AP << /N 12 0 R >> /P 3 0 R >>"
    )
    more = {
        10: field % (11, 11),
        11: field % (10, 10),
        12: _form(b"/X Do", b"/XObject << /X 12 0 R >>"),
    }
    return page_with(
        stream(words()),
        more,
        page=b"/Annots [10 0 R 11 0 R]",
        catalogue=b"/AcroForm << /Fields [10 0 R 11 0 R] >>",
    )


def _pattern(pattern: bytes, more: Objects | None = None) -> bytes:
    content = words() + _LINES + b"/Pattern cs /P1 scn 0 0 595 842 re f"
    return one_page(content, {10: pattern, **(more or {})}, resources=b"/Pattern << /P1 10 0 R >>")


def _shading(function: bytes, more: Objects | None = None) -> bytes:
    shading = b"<< /ShadingType 1 /ColorSpace /DeviceGray /Domain [0 595 0 842] /Function 11 0 R >>"
    return one_page(
        _LINES + b"/Sh sh",
        {10: shading, 11: function, **(more or {})},
        resources=b"/Shading << /Sh 10 0 R >>",
    )


def _previous_loop() -> bytes:
    whole = one_page(words())
    start = whole.rindex(b"xref\n0 ")
    return whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)


def _many_paths(count: int) -> bytes:
    return page_with(stream(repeated(b"1 1 m 9 9 l S\n" * 1000, count // 1000), b"/Filter /FlateDecode"))


def _many_words(size: int) -> bytes:
    block = b"(" + b"The shaft seal was replaced on Monday. " * 26 + b") Tj 0 -14 Td\n"
    data = b"BT /F1 12 Tf 50 700 Td " + block * (size // len(block)) + b"ET"
    return page_with(flate(data))


def _nested_flate() -> bytes:
    data = zeros(GIB)
    for _ in range(2):
        data = zlib.compress(data, 9)
    return page_with(stream(data, b"/Filter [/FlateDecode /FlateDecode /FlateDecode]"))


def _text_then(page: bytes, more: Objects) -> bytes:
    """Three pages of which the second is the bad one."""
    return _tree(b"10 0 R 11 0 R 12 0 R", 3, {10: _PAGE, 11: page, 12: _PAGE, **more})


def bad_middle_page() -> bytes:
    """Three pages; the second holds a bomb of 1 GB."""
    bad = _PAGE.replace(b"/Contents 4 0 R", b"/Contents 13 0 R")
    return _text_then(bad, {13: stream(zeros(GIB), b"/Filter /FlateDecode")})


TREES: dict[str, Callable[[], bytes]] = {
    "kids-are-their-parent": lambda: _tree(b"2 0 R", 1, {}),
    "kids-point-up": lambda: _tree(b"3 0 R", 3, {3: b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R 3 0 R] >>"}),
    "kids-loop-beside-a-page": lambda: _tree(b"3 0 R 2 0 R", 2, {3: _PAGE}),
    "count-too-high": lambda: _tree(b"3 0 R", 2**31 - 1, {3: _PAGE}),
    "count-of-a-million": lambda: _tree(b"3 0 R", 1_000_000, {3: _PAGE}),
    "count-negative": lambda: _tree(b"3 0 R", -7, {3: _PAGE}),
    "count-zero": lambda: _tree(b"3 0 R", 0, {3: _PAGE}),
    "count-beyond-integers": lambda: _tree(b"3 0 R", 10**30, {3: _PAGE}),
    "100000-pages": lambda: _wide_tree(100_000),
    "100000-times-one-page": lambda: _tree(b"3 0 R " * 100_000, 100_000, {3: _PAGE}),
    "tree-10000-deep": lambda: _deep_tree(10_000),
    "previous-table-is-itself": _previous_loop,
    "outlines-loop": _outlines,
    "fields-loop": _fields,
    "length-is-itself": lambda: page_with(b"<< /Length 4 0 R >>\nstream\n%b\nendstream" % words()),
    "inherited-from-itself": lambda: _tree(
        b"3 0 R", 1, {3: b"<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>"}
    ),
}
BOXES: dict[str, Callable[[], bytes]] = {
    "box-huge": lambda: _box(b"0 0 10000000 10000000"),
    "box-beyond-floats": lambda: _box(b"0 0 1" + b"0" * 60 + b" 1" + b"0" * 60),
    "box-negative": lambda: _box(b"0 0 -595 -842"),
    "box-below-zero": lambda: _box(b"-1000000 -1000000 -999000 -999000"),
    "box-zero": lambda: _box(b"0 0 0 0"),
    "box-nan": lambda: _box(b"0 0 nan NaN"),
    "box-tiny": lambda: _box(b"0 0 0.0000001 0.0000001"),
    "box-a-thread": lambda: _box(b"0 0 1 2000000"),
    "box-a-hair": lambda: _box(b"0 0 2000000 0.0001"),
    "box-of-nothing": lambda: _box(b""),
    "box-of-itself": lambda: _box(b"3 0 R 3 0 R 3 0 R 3 0 R"),
    "user-unit": lambda: page_with(stream(words() + _LINES), page=b"/UserUnit 1000000"),
}
DEEP: dict[str, Callable[[], bytes]] = {
    "arrays-deep": lambda: page_with(stream(words()), page=b"/Deep " + b"[" * 200_000 + b"]" * 200_000),
    "dictionaries-deep": lambda: page_with(
        stream(words()), page=b"/D <<" * 100_000 + b"/D 1" + b">>" * 100_000
    ),
    "arrays-deep-in-content": lambda: page_with(flate(b"[" * 1_000_000 + words())),
    "states-deep": lambda: page_with(stream(repeated(b"q " * 1000, 3000), b"/Filter /FlateDecode")),
    "marks-deep": lambda: page_with(flate(b"/A BMC " * 500_000 + words())),
    "forms-deep": lambda: _forms(5_000, 1),
    "forms-draw-themselves": lambda: one_page(
        words() + b"/X Do",
        {10: _form(b"/X Do " * 3, b"/XObject << /X 10 0 R >>")},
        resources=b"/XObject << /X 10 0 R >>",
    ),
    "forms-draw-each-other": lambda: one_page(
        words() + b"/X Do",
        {
            10: _form(b"/X Do /X Do", b"/XObject << /X 11 0 R >>"),
            11: _form(b"/X Do /X Do", b"/XObject << /X 10 0 R >>"),
        },
        resources=b"/XObject << /X 10 0 R >>",
    ),
    "forms-multiply": lambda: _forms(12, 8),
    "mask-is-itself": lambda: one_page(
        _LINES + b"/G gs " + _LINES,
        {
            10: b"<< /SMask << /S /Luminosity /G 11 0 R >> >>",
            11: _form(b"/G gs " + _LINES, b"/ExtGState << /G 10 0 R >>", b"/Group << /S /Transparency >>"),
        },
        resources=b"/ExtGState << /G 10 0 R >>",
    ),
    "pattern-is-itself": lambda: _pattern(
        stream(
            b"/Pattern cs /P1 scn 0 0 9 9 re f",
            b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 9 /YStep 9"
            b" /Resources << /Pattern << /P1 10 0 R >> >>",
        )
    ),
    "pattern-of-dust": lambda: _pattern(
        stream(
            b"0 0 9 9 re f",
            b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 0.0001 /YStep 0.0001 /Resources << >>",
        )
    ),
    "function-is-itself": lambda: _shading(
        b"<< /FunctionType 3 /Domain [0 1] /Functions [11 0 R 11 0 R] /Bounds [0.5] /Encode [0 1 0 1] >>"
    ),
    "function-heavy": lambda: _shading(
        stream(
            b"{ pop " + b"sin cos " * 20_000 + b"}",
            b"/FunctionType 4 /Domain [0 595 0 842] /Range [0 1]",
        )
    ),
    "colour-space-is-itself": lambda: one_page(
        b"/C cs 0.5 sc 0 0 99 99 re f " + _LINES,
        {10: b"[/Indexed 10 0 R 255 <00>]"},
        resources=b"/ColorSpace << /C 10 0 R >>",
    ),
    "dashes-of-dust": lambda: one_page(words() + b"[0.00001 0.00001] 0 d 0 0 m 595 842 l S " + _LINES),
    "glyph-draws-itself": lambda: _type3(b"9 0 d0 BT /F2 1 Tf (aaaaaaaaaa) Tj ET"),
    "font-is-its-descendant": lambda: _font(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [10 0 R]"
        b" /ToUnicode 10 0 R >>"
    ),
    "encoding-is-itself": lambda: _font(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding 11 0 R /DescendantFonts [12 0 R] >>",
        {
            11: stream(b"begincmap usecmap endcmap", b"/Type /CMap /CMapName /A /UseCMap 11 0 R"),
            12: b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /CIDSystemInfo 12 0 R /W [0 [12 0 R]] >>",
        },
    ),
}
BOMBS: dict[str, Callable[[], bytes]] = {
    "content-1gb": lambda: page_with(stream(zeros(GIB), b"/Filter /FlateDecode")),
    "content-nested-1gb": _nested_flate,
    "content-of-spaces": lambda: page_with(stream(repeated(b" " * MIB, 1024), b"/Filter /FlateDecode")),
    "content-lzw-over-flate": lambda: page_with(
        stream(zeros(GIB), b"/Filter [/FlateDecode /LZWDecode /RunLengthDecode]")
    ),
    "image-1gb": lambda: _picture(image(zeros(GIB), 32768, 32768, b"/Filter /FlateDecode")),
    "image-rgb-3gb": lambda: _picture(
        image(zeros(3 * GIB), 32768, 32768, b"/ColorSpace /DeviceRGB /Filter /FlateDecode")
    ),
    "image-predictor": lambda: _picture(
        image(
            zeros(GIB), 32768, 32768,
            b"/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 4 >>",
        )
    ),
    "image-dimensions-lie": lambda: _picture(image(b"x", 2**31 - 1, 2**31 - 1, b"")),
    "image-mask-is-itself": lambda: _picture(image(bytes(100), 10, 10, b"/SMask 10 0 R")),
    "image-fax": lambda: _picture(
        image(
            b"\x00\x10\x01", 60000, 60000,
            b"/BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 60000 /Rows 60000 >>",
        )
    ),
    "image-jpeg-header": lambda: _picture(
        image(
            bytes.fromhex("ffd8ffc0001108ffdcffdc03012200021100031100ffda000c03010002000300003f00"),
            65500, 65500, b"/ColorSpace /DeviceRGB /Filter /DCTDecode",
        )
    ),
    "object-stream-1gb": lambda: _object_stream(
        zeros(
            GIB,
            b"1 0 2 33          << /Type /Catalog /Pages 2 0 R >> << /Type /Pages /Kids [] /Count 0 >>",
        ),
        b"/N 2 /First 18 /Filter /FlateDecode",
    ),
    "object-stream-lies": lambda: _object_stream(b"1 0 2 99999999 ", b"/N 100000000 /First 2147483647"),
    "object-stream-extends-itself": lambda: _object_stream(b"1 0 2 5 3 0 R", b"/N 2 /First 8 /Extends 3 0 R"),
    "tounicode-100mb": lambda: _font(
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 11 0 R >>",
        {11: stream(repeated(b"1 beginbfrange <0000> <ffff> <0041> endbfrange\n" * 2000, 1000),
                    b"/Filter /FlateDecode")},
    ),
    "jbig2-65535": lambda: _picture(_jbig2(65535, 65535)),
    "jbig2-4294967295": lambda: _picture(_jbig2(2**32 - 1, 2**32 - 1)),
    "jpx-60000": lambda: _picture(_jpx_image(60000, 60000)),
    "jpx-2147483647": lambda: _picture(_jpx_image(2**31 - 1, 2**31 - 1)),
    "paths-3-million": lambda: _many_paths(3_000_000),
    "words-20mb": lambda: _many_words(20 * MIB),
}  # fmt: skip
