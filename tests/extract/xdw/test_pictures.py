"""Page images: scans of every kind, and pictures in drawings, become the picture that OCR is given."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, TiffImagePlugin

from tests.extract.xdw.reading import Reading, read
from tests.support import docuworks as dw
from tests.support.metafiles import Emf, Wmf, bitmap

SIZE = (1654, 2339)
"""A4 at 200 dpi."""
PER_METRE = 7874


def scan(size: tuple[int, int] = SIZE) -> Image.Image:
    """White paper with a black bar at the top left."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1] // 10), fill=0)
    return image


def jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def g4(image: Image.Image) -> bytes:
    """The strip alone, in which white is paper."""
    inverted = ImageChops.invert(image.convert("L")).convert("1")
    file = BytesIO()
    inverted.save(file, "TIFF", compression="group4", tiffinfo={278: image.height})
    with Image.open(file) as tiff:
        assert isinstance(tiff, TiffImagePlugin.TiffImageFile)
        offset, length = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    return file.getvalue()[offset : offset + length]


def reversed_bits(data: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)


def dib(image: Image.Image) -> tuple[bytes, bytes]:
    gray = image.convert("L").tobytes()
    return bitmap(
        [gray[y * image.width : (y + 1) * image.width] for y in range(image.height)], image.width, 8
    )


def one_page(*objects: dw.Object, entries: dw.Entries | None = None) -> bytes:
    return dw.write(dw.document(dw.page(*objects)), entries)


def assert_shows_scan(found: Reading, *, size: tuple[int, int] = SIZE) -> None:
    """The bar is where it was, and the rest is white."""
    assert found.pages[0].get("error") is None
    with found.picture() as picture:
        assert picture.mode == "L"
        assert abs(picture.width - size[0]) <= 2
        assert abs(picture.height - size[1]) <= 2
        across, down = picture.size
        dark = [
            picture.getpixel((round(across * x), round(down * y))) for x, y in ((0.02, 0.02), (0.48, 0.09))
        ]
        light = [
            picture.getpixel((round(across * x), round(down * y)))
            for x, y in ((0.55, 0.05), (0.2, 0.15), (0.9, 0.9))
        ]
    assert all(shade < 40 for shade in dark), dark  # type: ignore[operator]
    assert all(shade > 215 for shade in light), light  # type: ignore[operator]


def test_a_jpeg_scan(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(5, jpeg(scan()), across=SIZE[0], down=SIZE[1]))), tmp_path)
    assert found.methods == ["ocr"]
    assert (found.pages[0]["dpi"], found.texts) == (200, [""])
    assert_shows_scan(found)
    assert found.thumbnail is not None


@pytest.mark.parametrize("turn", [bytes, reversed_bits])
def test_a_group_4_scan_has_its_own_pixels(turn: type, tmp_path: Path) -> None:
    fields = {"across": SIZE[0], "down": SIZE[1], "per_metre": PER_METRE}
    found = read(one_page(dw.content(dw.body(9, turn(g4(scan())), **fields))), tmp_path)
    assert_shows_scan(found)
    with found.picture() as picture:
        assert ImageChops.difference(picture, scan()).getbbox() is None


def test_a_group_4_scan_whose_pixels_follow_from_its_size(tmp_path: Path) -> None:
    image = scan((round(210 / 1000 * PER_METRE), round(297 / 1000 * PER_METRE)))
    found = read(one_page(dw.content(dw.body(9, g4(image), per_metre=PER_METRE))), tmp_path)
    assert_shows_scan(found, size=image.size)


@pytest.mark.parametrize("method", [0, 1, 5])
def test_a_bitmap_scan(method: int, tmp_path: Path) -> None:
    image = scan((826, 1168))
    header, bits = dib(image)
    if method == 5:
        row = (image.width + 3) // 4 * 4
        bits = b"".join(bits[start : start + row] for start in range(len(bits) - row, -1, -row))
    stored = bits if method == 0 else dw.pack(bits)
    data = header + struct.pack("<4I", method, len(stored), len(bits), image.height) + stored
    found = read(one_page(dw.content(dw.body(7, data, sub_header=len(header)))), tmp_path)
    assert_shows_scan(found, size=(826, 1168))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_a_picture_file_in_a_body_of_another_kind(form: str, tmp_path: Path) -> None:
    file = BytesIO()
    scan().save(file, form)
    assert_shows_scan(read(one_page(dw.content(dw.body(9, file.getvalue()))), tmp_path))


def test_a_turned_scan_is_turned_back(tmp_path: Path) -> None:
    lying = scan().transpose(Image.Transpose.ROTATE_90)
    body = dw.body(5, jpeg(lying), size=(29_700, 21_000))
    found = read(one_page(dw.content(body, a61=dw.numbers(90))), tmp_path)
    assert_shows_scan(found)


def test_strips_of_a_colour_scan_become_one_picture(tmp_path: Path) -> None:
    entries = dw.Entries()
    emf = Emf()
    references = []
    strips = [(top, min(top + 200, SIZE[1])) for top in range(0, SIZE[1], 200)]
    for top, bottom in strips:
        data = jpeg(scan().convert("RGB").crop((0, top, SIZE[0], bottom)))
        raw = struct.pack("<4I", len(data) + 16, 0, SIZE[0], bottom - top) + data
        references.append(entries.add(raw))
        emf.next_picture().draw_picture(
            (0, top * 3, SIZE[0] * 3, (bottom - top) * 3), (SIZE[0], bottom - top)
        )
    content = dw.content(dw.body(4, emf.bytes(), packed=True), pictures=references)
    found = read(one_page(content, entries=entries), tmp_path)
    assert_shows_scan(found)
    assert found.methods == ["ocr"]


def test_more_than_a_hundred_pictures(tmp_path: Path) -> None:
    entries = dw.Entries()
    emf = Emf()
    references = []
    for number in range(117):
        top = number * 20
        part = scan((1654, 2340)).crop((0, top, SIZE[0], top + 20))
        references.append(entries.add(dw.body(5, jpeg(part), size=(21_000, 254))))
        emf.next_picture().draw_picture((0, top * 3, SIZE[0] * 3, 60), (SIZE[0], 20))
    content = dw.content(dw.body(4, emf.bytes(), packed=True), pictures=references)
    assert_shows_scan(read(one_page(content, entries=entries), tmp_path), size=(1654, 2340))


def test_a_tile_that_is_drawn_again(tmp_path: Path) -> None:
    entries = dw.Entries()
    part = scan((800, 400))
    reference = entries.add(dw.body(5, jpeg(part)))
    emf = Emf()
    for top in (0, 1200):
        emf.next_picture().draw_picture((0, top, 2400, 1200), (800, 400))
    content = dw.content(dw.body(4, emf.bytes()), pictures=[reference])
    found = read(one_page(content, entries=entries), tmp_path)
    assert found.pages[0].get("error") is None
    with found.picture() as picture:
        assert picture.getpixel((10, 410)) < 40  # type: ignore[operator]


@pytest.mark.parametrize("make", [Emf.stretch, Emf.inline_picture])
def test_bands_of_a_bitmap(make: object, tmp_path: Path) -> None:
    emf = Emf()
    image = scan((828, 1170))
    for top in range(0, image.height, 390):
        band = dib(image.crop((0, top, image.width, top + 390)))
        place = (0, top * 6, image.width * 6, 390 * 6)
        if make is Emf.stretch:
            emf.stretch(band, place)
        else:
            emf.inline_picture(band).draw_picture(place, (image.width, 390))
    found = read(one_page(dw.content(dw.body(4, emf.bytes(), packed=True))), tmp_path)
    assert_shows_scan(found, size=(828, 1170))


def test_a_run_length_coded_band(tmp_path: Path) -> None:
    black, white = bytes([200, 0, 200, 255, 0, 0]), bytes([200, 255, 200, 255, 0, 0])
    band = bitmap([*[black] * 60, *[white] * 540], 400, 8, compression=1)
    emf = Emf().stretch(band, (0, 0, 4961, 7016))
    found = read(one_page(dw.content(dw.body(4, emf.bytes()))), tmp_path)
    with found.picture() as picture:
        assert picture.getpixel((10, 10)) < 40  # type: ignore[operator]
        assert picture.getpixel((picture.width - 10, 10)) > 215  # type: ignore[operator]


def test_pictures_of_older_metafiles(tmp_path: Path) -> None:
    stretched = Wmf().stretch(dib(scan((826, 1168))), (0, 0, 826, 1168))
    found = read(one_page(dw.content(dw.body(1, stretched.bytes()))), tmp_path)
    assert_shows_scan(found, size=(826, 1168))
    entries = dw.Entries()
    reference = entries.add(dw.body(5, jpeg(scan())))
    listed = Wmf().escape(b"DW\2\1").escape(b"DW\2\2")
    content = dw.content(dw.body(1, listed.bytes()), pictures=[reference])
    assert_shows_scan(read(one_page(content, entries=entries), tmp_path))


@pytest.mark.parametrize("drawn", [True, False])
def test_stored_pictures_that_nothing_draws_are_read_in_order(drawn: bool, tmp_path: Path) -> None:
    entries = dw.Entries()
    halves = [scan().crop((0, top, SIZE[0], top + 1170)) for top in (0, 1170)]
    references = [entries.add(dw.body(5, jpeg(half))) for half in halves]
    content = dw.content(dw.body(4, Emf().bytes()), pictures=references)
    if not drawn:
        del content.attributes[7]
    assert_shows_scan(read(one_page(content, entries=entries), tmp_path), size=(SIZE[0], 2340))


def test_text_and_a_picture_are_both_taken(tmp_path: Path) -> None:
    emf = Emf().font(128).text("図面の説明文は本文として十六文字以上あります。", 100, 100)
    emf.stretch(dib(scan((400, 600))), (0, 1000, 2400, 3600))
    found = read(one_page(dw.content(dw.body(4, emf.bytes()))), tmp_path)
    assert found.methods == ["text+ocr"]
    assert "説明文" in found.texts[0]
    with found.picture() as picture:
        assert abs(picture.width - 400) <= 2


@pytest.mark.parametrize(
    ("charset", "codec", "words"),
    [
        (129, "cp949", "안녕하세요 한국어 문서입니다 그리고 계약서"),
        (177, "cp1255", "שלום עולם זה מסמך ארוך"),
        (222, "cp874", "สวัสดีครับ นี่คือเอกสาร"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_text_of_other_scripts_stays_beside_a_picture(
    charset: int, codec: str, words: str, whole: bool, tmp_path: Path
) -> None:
    place = (0, 0, 4961, 7016) if whole else (300, 3000, 900, 600)
    emf = Emf().stretch(dib(scan((150, 100))), place).font(charset)
    emf.text_8bit(words.encode(codec), 300, 300)
    found = read(one_page(dw.content(dw.body(4, emf.bytes()))), tmp_path)
    assert "image" in found.pages[0]
    assert found.texts == [words]


@pytest.mark.parametrize("whole", [False, True])
def test_codes_that_no_text_has_give_way_to_the_scan_that_they_lie_on(whole: bool, tmp_path: Path) -> None:
    words = "\ue001\ue002\ue003\ue004\ue005\ue006" * 4
    place = (0, 0, 4961, 7016) if whole else (300, 3000, 900, 600)
    emf = Emf().stretch(dib(scan((150, 100))), place).text(words, 300, 300)
    found = read(one_page(dw.content(dw.body(4, emf.bytes()))), tmp_path)
    assert found.texts == ["" if whole else words]


def test_notes_on_a_scan_are_kept_beside_it(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(5, jpeg(scan()))), dw.note("至急")), tmp_path)
    assert (found.methods, found.texts) == (["ocr"], ["至急"])
    assert_shows_scan(found)


def test_objects_of_a_merged_page_lie_where_they_are_placed(tmp_path: Path) -> None:
    half = (21_000, 14_850)
    body = dw.body(5, jpeg(scan((826, 584))), size=half)
    upper = dw.placed(dw.content(body), (0, 0), half)
    lower = dw.placed(dw.content(body), (0, 14_850), half)
    found = read(dw.write(dw.document(dw.page(upper, lower))), tmp_path)
    with found.picture() as picture:
        assert picture.size == (1654, 2339)
        for top in (0, 1170):
            assert picture.getpixel((100, top + 20)) < 40  # type: ignore[operator]
            assert picture.getpixel((1600, top + 20)) > 215  # type: ignore[operator]


def test_the_stored_preview_is_the_thumbnail_of_a_printed_page(tmp_path: Path) -> None:
    header, bits = dib(scan((104, 146)))
    stored = dw.pack(bits)
    data = header + struct.pack("<4I", 1, len(stored), len(bits), 146) + stored
    preview = dw.body(7, data, sub_header=len(header))
    drawing = dw.body(4, Emf().text("text", 0, 0).bytes())
    found = read(one_page(dw.content(drawing, a58=preview)), tmp_path)
    assert found.methods == ["text"]
    assert found.thumbnail is not None
    with Image.open(BytesIO(found.thumbnail)) as picture:
        assert picture.size == (104, 146)


def test_what_is_not_known_is_told(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(6, b"mixed raster content"))), tmp_path)
    assert found.methods == ["failed"]
    assert found.pages[0]["error"] == {
        "category": "unsupported",
        "message": "a drawing of kind 6, which is not known",
    }


def test_a_page_of_outlines_is_told(tmp_path: Path) -> None:
    emf = Emf()
    for _ in range(60):
        emf.record(4, struct.pack("<4iI4i", 0, 0, 9, 9, 2, 0, 0, 9, 9))
    found = read(one_page(dw.content(dw.body(4, emf.bytes()))), tmp_path)
    assert found.methods == ["failed"]
    assert "60 lines and areas" in found.pages[0]["error"]["message"]


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_of_a_scan_that_is_cut_off_what_is_there_is_read(cut: float, tmp_path: Path) -> None:
    data = jpeg(scan())
    found = read(one_page(dw.content(dw.body(5, data[: int(len(data) * cut)]))), tmp_path)
    assert found.methods == ["ocr"]
    assert found.pages[0]["error"]["category"] == "corrupt"


def test_a_scan_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(5, b"no picture at all" * 9)), dw.note("メモ")), tmp_path)
    assert (found.methods, found.texts) == (["text"], ["メモ"])
    assert found.pages[0]["error"]["category"] == "corrupt"


def test_a_picture_over_the_limit_is_told(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(5, jpeg(scan())))), tmp_path, max_pixels=1_000_000)
    assert found.pages[0]["error"]["category"] == "too_large"


IMPOSSIBLE = [0, -1, (1 << 31) - 1, -(1 << 31), 1 << 40, 1 << 1000, -(1 << 1000)]


@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_impossible_sizes_and_places_do_no_harm(value: int, tmp_path: Path) -> None:
    picture = jpeg(scan((400, 300)))
    bodies = [
        dw.body(5, picture, size=(value, value)),
        dw.body(5, picture, per_metre=value),
        dw.body(9, picture, across=value, down=value),
    ]
    for body in bodies:
        contents = [
            dw.placed(dw.content(body, a61=dw.numbers(value)), at, (3000, 2000))
            for at in ((0, 0), (value, 5))
        ]
        for size in ((value, value), (21_000, 29_700)):
            found = read(dw.write(dw.document(dw.page(*contents, size=size))), tmp_path)
            assert found.methods == ["ocr"] if body[2] == 5 else ["failed"]


def test_small_pictures_very_far_apart_do_no_harm(tmp_path: Path) -> None:
    emf = Emf()
    for away in (0.0, 9e8):
        emf.record(36, struct.pack("<6fI", 1e-3, 0, 0, 1e-6, away, 0, 4))
        emf.stretch(dib(scan((150, 100))), (0, 0, 1, 1))
    (page,) = read(one_page(dw.content(dw.body(4, emf.bytes())), dw.note("至急")), tmp_path).pages
    assert page["text"] == "至急"


@pytest.mark.parametrize("rows", [0, 5, 1 << 31, (1 << 32) - 1])
def test_impossible_rows_of_a_bitmap_are_told(rows: int, tmp_path: Path) -> None:
    header, bits = dib(scan((26, 34)))
    stored = dw.pack(bits)
    data = header + struct.pack("<4I", 5, len(stored), len(bits), rows) + stored
    found = read(one_page(dw.content(dw.body(7, data, sub_header=len(header)))), tmp_path)
    assert ("error" in found.pages[0]) == (rows != 5)


def test_pictures_that_nothing_known_draws_are_counted(tmp_path: Path) -> None:
    entries = dw.Entries()
    references = [entries.add(dw.body(5, jpeg(scan((400, 300))))) for _ in range(3)]
    emf = Emf().next_picture().draw_picture((0, 0, 4961, 7016), (400, 300))
    content = dw.content(dw.body(4, emf.bytes()), pictures=references)
    found = read(one_page(content, entries=entries), tmp_path)
    assert found.methods == ["ocr"]
    message = "2 stored pictures that no known command draws were not read"
    assert found.pages[0]["error"] == {"category": "unsupported", "message": message}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (dw.body(4, Emf().record(79, bytes(200)).bytes()), "pictures drawn as parallelograms were not read"),
        (
            dw.body(1, Wmf().record(0x0922, bytes(60)).bytes()),
            "pictures in the form of one device were not read",
        ),
    ],
)
def test_pictures_of_forms_that_are_not_read_are_told(body: bytes, message: str, tmp_path: Path) -> None:
    found = read(one_page(dw.content(body)), tmp_path)
    assert found.methods == ["failed"]
    assert found.pages[0]["error"] == {"category": "unsupported", "message": message}


def test_a_plain_fill_of_an_older_metafile_is_no_picture(tmp_path: Path) -> None:
    found = read(one_page(dw.content(dw.body(1, Wmf().record(0x0922, bytes(18)).bytes()))), tmp_path)
    assert (found.methods, found.pages[0].get("error")) == (["blank"], None)
