"""The packaged PP-OCRv6 models: where they are, and what they are, for the check and the fingerprint."""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from batchjob.errors import UsageError

DETECTION, RECOGNITION = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
RUNTIMES = ("openvino", "onnxruntime")
"""What the models run on: the first one that is installed."""
_USE_TESSERACT = "Install it (`pip install {}`), or set BATCHJOB_OCR_ENGINE=tesseract."


def model(name: str) -> Path:
    """A model file inside the package `rapidocr`, which is not imported. Raises UsageError."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        raise UsageError(
            f"the OCR engine 'paddle' needs the package rapidocr. {_USE_TESSERACT.format('rapidocr')}"
        )
    path = Path(package.origin).parent / "models" / name
    if not path.is_file():
        raise UsageError(
            f"the package rapidocr has no model {name!r} in {str(path.parent)!r}. "
            f"{_USE_TESSERACT.format('rapidocr==3.10.0')}"
        )
    return path


def find_runtime() -> str | None:
    return next((name for name in RUNTIMES if find_spec(name) is not None), None)


def check() -> None:
    """Makes sure that the engine can run. Raises UsageError with what to install or to set."""
    for name in (DETECTION, RECOGNITION):
        model(name)
    if find_runtime() is None:
        raise UsageError(
            f"the OCR engine 'paddle' needs openvino or onnxruntime. {_USE_TESSERACT.format('openvino')}"
        )
    for module, package in (("numpy", "numpy"), ("cv2", "opencv-python-headless")):
        if find_spec(module) is None:
            raise UsageError(
                f"the OCR engine 'paddle' needs the package {package}. {_USE_TESSERACT.format(package)}"
            )


@lru_cache(maxsize=2)
def digest(name: str) -> str:
    """SHA-256 of a model file, in hexadecimal. Raises UsageError."""
    with model(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
