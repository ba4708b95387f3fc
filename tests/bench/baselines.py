"""The baselines that are programs of their own: `python -m tests.bench.baselines NAME FILE…`.

Each prints one JSON object a file, with its `path` and `text`. They import what they need when they run: some of it
is only in the benchmark's own environment.
"""

import json
import sys
from collections.abc import Callable, Iterator


def naive(pdf: str) -> str:
    """OCR as it is often written down: 300 dpi in colour, more contrast, an image object, page mode 1."""
    import pytesseract
    from pdf2image import convert_from_path
    from PIL import ImageEnhance

    return "\n".join(
        pytesseract.image_to_string(
            ImageEnhance.Contrast(image.convert("RGB")).enhance(1.5), lang="jpn+eng", config="--psm 1 --oem 3"
        )
        for image in convert_from_path(pdf, dpi=300)
    )


def pdfium(pdf: str) -> str:
    """The text layer, in one process, without any protection from the file."""
    from pypdfium2 import PdfDocument

    with PdfDocument(pdf) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def tika() -> Callable[[str], str]:
    """Apache Tika as a native program; OCR is off, and nothing is cut."""
    from extractous import Extractor, PdfOcrStrategy, PdfParserConfig

    extractor = (
        Extractor()
        .set_extract_string_max_length(100_000_000)
        .set_pdf_config(PdfParserConfig().set_ocr_strategy(PdfOcrStrategy.NO_OCR))
    )
    return lambda file: extractor.extract_file_to_string(file)[0]


def rapidocr() -> Callable[[str], str]:
    """RapidOCR as it comes, on OpenVINO, side 1280, one thread."""
    import numpy as np
    from PIL import Image
    from rapidocr import EngineType, RapidOCR

    ocr = RapidOCR(
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


def tesseract(image: str) -> str:
    """The bare program, a process an image."""
    import os
    import subprocess

    line = ["tesseract", image, "-", "-l", "jpn+eng", "--psm", "3", "--dpi", "200"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    return subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout


READERS: dict[str, Callable[[], Callable[[str], str]]] = {
    "naive": lambda: naive,
    "pdfium": lambda: pdfium,
    "tika": tika,
    "rapidocr": rapidocr,
    "tesseract": lambda: tesseract,
}


def read(name: str, files: list[str]) -> Iterator[str]:
    reader = READERS[name]()
    for file in files:
        yield json.dumps({"path": file, "text": reader(file)}, ensure_ascii=False)


if __name__ == "__main__":
    for line in read(sys.argv[1], sys.argv[2:]):
        print(line)
