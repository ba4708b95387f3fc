"""Reads DocuWorks files as the parse child does, for these tests."""

from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from batchjob.extract.child import DONE, events


class Reading(NamedTuple):
    """What the parse child says of a file."""

    document: dict[str, Any] | None
    pages: list[dict[str, Any]]
    failure: dict[str, Any] | None
    thumbnail: bytes | None
    folder: Path

    @property
    def texts(self) -> list[str]:
        return [page["text"] for page in self.pages]

    @property
    def methods(self) -> list[str]:
        return [page["method"] for page in self.pages]

    def picture(self, number: int = 1) -> Image.Image:
        return Image.open(self.folder / self.pages[number - 1]["image"])


def read(data: bytes, folder: Path, *, pages: int = 40, max_pixels: int = 200_000_000) -> Reading:
    path = folder / "file"
    path.write_bytes(data)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    arguments = {"path": str(path), "dpi": 200, "max_pixels": max_pixels, "out": str(out)}
    *said, done = events(arguments, [{"pages": [*range(1, pages + 1)], "thumbnail": True}])
    assert done == DONE
    by_kind: dict[str, list[Any]] = {}
    for event in said:
        by_kind.setdefault(str(event["event"]), []).append(event)
    picture = out / "thumbnail.jpg"
    return Reading(
        by_kind.get("document", [None])[0],
        by_kind.get("page", []),
        by_kind.get("failure", [None])[0],
        picture.read_bytes() if picture.exists() else None,
        out,
    )
