"""What DocuWorks pages cost the parse child, and how fast its codec is."""

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random

from PIL import Image, ImageChops, TiffImagePlugin

from batchjob.extract.child import events
from batchjob.extract.xdw.lh5 import expand
from batchjob.settings import Settings
from manifests.sampledocs import paper
from tests.bench import papers, scanner, wording
from tests.bench.context import Context
from tests.bench.measure import Variant, calls, in_turn
from tests.bench.page import Section, timings
from tests.support import docuworks as dw
from tests.support.lh5 import pack
from tests.support.metafiles import A4_PIXELS, Emf

_LINES = 3
_DPI = 200
_PACKED = 100_000
"""Bytes of the drawing that is unpacked again and again: the tests' encoder takes seconds for more."""

Maker = Callable[[int, dw.Entries], dw.Object]
"""The content of page `number`."""


def docuworks(context: Context) -> Section:
    """Pages without OCR, and the codec alone."""
    count, folder = context.size(200, 20), context.scratch / "documents"
    folder.mkdir()
    variants = [
        Variant(
            name,
            partial(calls, partial(_read, _document(folder, number, count, make), context.scratch)),
            count,
        )
        for number, (name, make) in enumerate(_kinds().items())
    ]
    drawing = _drawing(Random(1), _PACKED)
    times = context.size(300, 30)
    codec = Variant(
        "`-lh5-`",
        partial(calls, partial(_unpack, pack(drawing), len(drawing), times)),
        round(times * len(drawing) / 1e6),
    )
    return Section(
        "DocuWorks files",
        f"Documents of {count} pages, each with {_LINES} records of text and one picture, read as the parse child "
        f"does, in one process, up to the picture that OCR is given (at most {_DPI} dpi); without OCR. A scan is one "
        "of the office papers, in gray at 200 dpi. The codec unpacks a drawing of text records.",
        timings("page", variants, in_turn(variants, context.rounds), ())
        + "\n\n"
        + timings("MB", [codec], in_turn([codec], context.rounds), ()),
    )


def _kinds() -> dict[str, Maker]:
    scan = _scan()
    small, quarter = scan.crop((0, 0, 320, 240)), scan.crop((0, 0, 620, 870))
    return {
        "text, a small picture": partial(_printed, _jpeg(small), small.size, (300, 1000, 960, 720)),
        "text, a picture on a quarter of the page": partial(
            _printed, _jpeg(quarter), quarter.size, (300, 1000, 2480, 3480)
        ),
        "text on a scan, JPEG": partial(_printed, _jpeg(scan), scan.size, (0, 0, *A4_PIXELS)),
        "a scan, G4": partial(_bitonal, _g4(scan), scan.size),
    }


def _scan() -> Image.Image:
    paper.register_fonts()
    printed = papers.print_papers([papers.OFFICE[0]], seed=1)
    return scanner.render(printed.pdf, 0, _DPI)


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=75)
    return file.getvalue()


def _g4(image: Image.Image) -> bytes:
    """The strip alone, in which white is paper."""
    file = BytesIO()
    inverted = ImageChops.invert(image).convert("1")
    inverted.save(file, "TIFF", compression="group4", tiffinfo={278: image.height})
    with Image.open(file) as tiff:
        assert isinstance(tiff, TiffImagePlugin.TiffImageFile)
        offset, length = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    return file.getvalue()[offset : offset + length]


def _printed(
    picture: bytes, size: tuple[int, int], place: tuple[int, int, int, int], number: int, entries: dw.Entries
) -> dw.Object:
    emf = Emf().font(128).next_picture().draw_picture(place, size)
    for line, words in enumerate(_sentences(Random(number), _LINES)):
        emf.text_8bit(words, 300, 300 + 100 * line)
    stored = entries.add(dw.body(5, picture, across=size[0], down=size[1]))
    return dw.content(dw.body(4, emf.bytes()), pictures=[stored])


def _bitonal(strip: bytes, size: tuple[int, int], number: int, entries: dw.Entries) -> dw.Object:
    body = dw.body(9, strip, across=size[0], down=size[1], per_metre=round(_DPI / 0.0254))
    return dw.content(entries.add(body))


def _sentences(random: Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield wording.sentence(random).encode("cp932", errors="replace")


def _drawing(random: Random, size: int) -> bytes:
    emf, length = Emf().font(128), 0
    for line, words in enumerate(_sentences(random, size)):
        emf.text_8bit(words, 300, 300 + 100 * line)
        length += len(words) + 76
        if length > size:
            break
    return emf.bytes()


def _document(folder: Path, number: int, count: int, make: Maker) -> Path:
    entries = dw.Entries()
    pages = [dw.page(make(page, entries)) for page in range(count)]
    path = folder / f"document-{number}.xdw"
    path.write_bytes(dw.write(dw.document(*pages), entries, dw.Form(plain=True)))
    return path


def _read(path: Path, folder: Path) -> None:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    arguments = {"path": str(path), "dpi": _DPI, "max_pixels": Settings().max_pixels, "out": str(out)}
    for event in events(arguments, [{"pages": range(1, 10_000), "thumbnail": True}]):
        if "error" in event:
            raise RuntimeError(f"{path.name}: {event['error']}")


def _unpack(stream: bytes, size: int, times: int) -> None:
    for _ in range(times):
        expand(stream, size)
