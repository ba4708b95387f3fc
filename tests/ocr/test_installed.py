"""What is said where the paddle engine lacks a package, and what the fingerprint holds of an engine."""

import subprocess
import sys

import pytest

from batchjob.ocr import models
from batchjob.ocr.installed import check, identity
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.settings import Settings

PADDLE = Settings(ocr_engine="paddle")


def test_the_packaged_models_are_found_and_known() -> None:
    check(PADDLE)
    assert models.digest(models.DETECTION) in identity(PADDLE)
    assert models.digest(models.RECOGNITION) in identity(PADDLE)


@pytest.mark.parametrize(
    ("hidden", "package"),
    [
        (["rapidocr"], "pip install rapidocr"),
        (["openvino", "onnxruntime"], "pip install openvino"),
        (["cv2"], "pip install opencv-python-headless"),
        (["numpy"], "pip install numpy"),
    ],
)
def test_a_missing_package_is_named_with_the_other_engine(hidden: list[str], package: str) -> None:
    """In a process that cannot see the packages."""
    program = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Finder(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        f"        return None if name in {hidden!r} else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]\n"
        "from batchjob.errors import UsageError\n"
        "from batchjob.ocr.models import check\n"
        "try:\n"
        "    check()\n"
        "except UsageError as error:\n"
        "    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert package in answer.stdout
    assert "BATCHJOB_OCR_ENGINE=tesseract" in answer.stdout


def test_the_fingerprint_follows_the_engine_and_only_its_settings() -> None:
    first = extraction_fingerprint(PADDLE)
    assert extraction_fingerprint(Settings(ocr_engine="paddle", ocr_languages="fra")) == first
    assert extraction_fingerprint(Settings(ocr_engine="paddle", ocr_dpi=150)) != first


def test_checking_loads_no_heavy_library() -> None:
    """The command asks before every run."""
    program = (
        "import sys\nfrom batchjob.ocr.installed import check, identity\n"
        "from batchjob.settings import Settings\ncheck(Settings()); identity(Settings())\n"
        "print(sorted({'rapidocr', 'cv2', 'openvino', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
