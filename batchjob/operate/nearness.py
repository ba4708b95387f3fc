"""Where in a text a query stands, though characters of it were misread, spaced out or cut off."""

from dataclasses import dataclass

import numpy as np

SPACES = np.array([*range(9, 14), 32, 0xA0, 0x3000], np.uint32)
FULL_WIDTH, WIDTH_STEP = (0xFF01, 0xFF5E), 0xFEE0
"""Full-width ASCII, and how far it is from the usual one (Unicode, Halfwidth and Fullwidth Forms)."""
ROOM = 1.5
"""Length of the window in lengths of the query: what OCR puts in between."""


@dataclass(frozen=True, slots=True)
class Place:
    """Characters of a text from `start` to before `end`, and the share of the query's bigrams that they hold."""

    start: int
    end: int
    share: float


class Query:
    """What is looked for, as pairs of neighbouring characters without spaces, width and case."""

    def __init__(self, text: str) -> None:
        squeezed, _ = _squeeze(text)
        self._bigrams = np.unique(_bigrams(squeezed))
        self._window = max(2, round(len(squeezed) * ROOM))

    def nearest(self, text: str) -> Place | None:
        """The first of the windows that hold most of the query; None where it is too short, or nothing is there."""
        squeezed, places = _squeeze(text)
        codes = _bigrams(squeezed)
        if not len(self._bigrams) or not len(codes):
            return None
        found = np.nonzero(np.isin(codes, self._bigrams))[0]
        if not len(found):
            return None
        which = np.searchsorted(self._bigrams, codes[found])
        start, end, count = _fullest(found.tolist(), which.tolist(), self._window)
        return Place(int(places[start]), int(places[end + 1]) + 1, count / len(self._bigrams))


def _squeeze(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Code points without spaces, narrow and in lower case, and the place of each in the text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.nonzero(~np.isin(codes, SPACES))[0]
    codes = codes[places]
    wide = (codes >= FULL_WIDTH[0]) & (codes <= FULL_WIDTH[1])
    codes = np.where(wide, codes - WIDTH_STEP, codes)
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    return np.where(upper, codes + 32, codes), places


def _bigrams(codes: np.ndarray) -> np.ndarray:
    wide = codes.astype(np.uint64)
    return (wide[:-1] << np.uint64(32)) | wide[1:]


def _fullest(places: list[int], which: list[int], window: int) -> tuple[int, int, int]:
    """First and last place of the window with most different bigrams, and how many; of equal ones the shortest."""
    best = (places[0], places[0], 1)
    inside: dict[int, int] = {}
    left = 0
    for right, place in enumerate(places):
        inside[which[right]] = inside.get(which[right], 0) + 1
        while place - places[left] >= window or inside[which[left]] > 1:
            inside[which[left]] -= 1
            if not inside[which[left]]:
                del inside[which[left]]
            left += 1
        if len(inside) > best[2]:
            best = (places[left], place, len(inside))
    return best
