"""Measures OCR engines on a folder of page images beside their true texts: errors, and CPU seconds a page.

`python -m tests.bench.ocr FOLDER`, where FOLDER has `gt/NAME.txt` and, in any other folder, images NAME.*.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from batchjob.extract.image import prepare
from batchjob.extract.text import clean
from batchjob.ocr.engine import open_engine

DPI = 200
IMAGES = (".jpg", ".png", ".tif")
Read = Callable[[Path], str]


def plain(text: str) -> str:
    """NFKC without any white space: the form in which errors are counted."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def distance(true: str, read: str) -> int:
    """Levenshtein distance, a column at a time in the bits of an integer (Myers 1999, Hyyrö 2003)."""
    if not true:
        return len(read)
    where: dict[str, int] = defaultdict(int)
    for position, character in enumerate(true):
        where[character] |= 1 << position
    every, last = (1 << len(true)) - 1, 1 << (len(true) - 1)
    up, down, score = every, 0, len(true)
    for character in read:
        equal = where.get(character, 0)
        vertical = equal | down
        horizontal = (((equal & up) + up) ^ up) | equal
        plus = down | (~(horizontal | up) & every)
        minus = up & horizontal
        score += bool(plus & last) - bool(minus & last)
        plus, minus = ((plus << 1) | 1) & every, (minus << 1) & every
        up, down = minus | (~(vertical | plus) & every), plus & vertical
    return score


def pairs_found(true: str, read: str) -> int:
    """How many of the true text's pairs of neighbours were read, wherever they stand."""
    return (Counter(pairwise(true)) & Counter(pairwise(read))).total()


def engine(name: str, **options: str) -> Read:
    opened = open_engine(name, options.get("languages", ""), options.get("vertical", ""))
    return lambda image: clean(opened.recognise(image, DPI).text, ocr=True)


def stock_rapidocr() -> Read:
    """RapidOCR as it comes, on OpenVINO, side 1280."""
    from rapidocr import EngineType, RapidOCR

    ocr: Any = RapidOCR(
        params={
            "Global.max_side_len": 1280,
            "Global.use_cls": False,
            "Global.log_level": "error",
            "Det.engine_type": EngineType.OPENVINO,
            "Rec.engine_type": EngineType.OPENVINO,
            "Rec.rec_batch_num": 1,
            "EngineConfig.openvino.inference_num_threads": 1,
        }
    )
    return lambda image: "\n".join(ocr(np.asarray(Image.open(image).convert("RGB"))).txts or ())


def raw_tesseract() -> Read:
    options = ["-", "-l", "jpn+eng", "--psm", "3", "--dpi", str(DPI)]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(image: Path) -> str:
        command = ["tesseract", str(image), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    return read


ENGINES: dict[str, Callable[[], Read]] = {
    "paddle": lambda: engine("paddle"),
    "tesseract": lambda: engine("tesseract", languages="Japanese", vertical="Japanese_vert"),
    "rapidocr": stock_rapidocr,
    "raw-tesseract": raw_tesseract,
}


def cpu_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def images(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.*")) if path.suffix in IMAGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engines", default="paddle,rapidocr,raw-tesseract")
    chosen = parser.parse_args()
    os.environ["OMP_THREAD_LIMIT"] = "1"  # as OCR children have it
    readers = {name: ENGINES[name]() for name in chosen.engines.split(",")}
    totals: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as work:
        page = Path(work) / "page.pgm"
        for level in sorted(path for path in chosen.folder.glob("*") if any(images(path))):
            for path in images(level):
                true = plain((chosen.folder / "gt" / f"{path.stem}.txt").read_text(encoding="utf-8"))
                for name, read in readers.items():  # in turn, so that a busy machine hits all alike
                    with Image.open(path) as image:
                        prepare(image, DPI)[0].save(page)
                    started = cpu_seconds()
                    text = read(page)
                    count = totals[level.name, name]
                    count["ms"] += round(1000 * (cpu_seconds() - started))
                    count.update(pages=1, length=len(true), pairs=max(len(true) - 1, 0))
                    count.update(wrong=distance(true, plain(text)), found=pairs_found(true, plain(text)))
    for (level_name, name), count in totals.items():
        print(
            f"{level_name:10} {name:14} CER {100 * count['wrong'] / count['length']:6.2f} %   "
            f"bigrams {100 * count['found'] / count['pairs']:6.2f} %   "
            f"{count['ms'] / count['pages'] / 1000:5.2f} CPU s a page   {count['pages']} pages"
        )


if __name__ == "__main__":
    main()
