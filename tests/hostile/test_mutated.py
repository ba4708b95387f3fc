"""Three hundred damaged documents in one shard: each ends as an outcome, and their neighbours are read."""

from pathlib import Path

import pytest
from PIL import Image

from batchjob.records import FinalState
from tests.hostile.shards import Limits, process
from tests.support.documents import scanned_page, text_pdf
from tests.support.hostile_images import encoded
from tests.support.mutations import mutated

SAMPLE = Path(__file__).parents[2] / "manifests" / "sample"
COUNT = 300
SOUND = "The shaft seal was replaced on Monday"


def documents() -> dict[str, bytes]:
    """Those of the sample that are read, and one of each other kind."""
    found = {path.name: path.read_bytes() for path in SAMPLE.rglob("*.*") if path.parent.name != "broken"}
    with Image.open(SAMPLE / "経理" / "fax-注文書.tif") as fax:
        page = fax.convert("L").reduce(4)
        page.info.clear()  # the fax has a compression of its own
    made = {kind: encoded(page, kind) for kind in ("GIF", "WEBP", "BMP", "PNG", "JPEG", "TIFF")}
    return (
        found
        | {f"page.{kind.lower()}": data for kind, data in made.items()}
        | {
            "small.png": scanned_page("HELLO"),
            "text.pdf": text_pdf(*[SOUND] * 3),
        }
    )


def _with_sound_ones(seed: int) -> list[tuple[str, bytes]]:
    files = [*mutated(documents(), COUNT, seed)]
    for at in (0, 100, 200, COUNT):
        files.insert(at, (f"sound {at}.pdf", text_pdf(f"{SOUND} {at}")))
    return files


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_damaged_documents_end_as_outcomes(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = process(tmp_path, _with_sound_ones(seed), Limits(page_seconds=20, max_pages=2), monkeypatch)
    sound = [outcome for key, outcome in outcomes.items() if key.startswith("sound")]
    assert [(outcome.state, outcome.category) for outcome in sound] == [(FinalState.INDEXED, None)] * 4
    states = [outcome.state for outcome in outcomes.values()]
    assert states.count(FinalState.FAILED) > COUNT // 4
    assert states.count(FinalState.INDEXED) > COUNT // 8
