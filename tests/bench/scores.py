"""How well a text was read, against the true one: character errors, and what a search would still find."""

import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Score:
    """Characters and pairs of neighbours in the true text, edits needed, pairs read; scores can be added."""

    length: int = 0
    wrong: int = 0
    pairs: int = 0
    found: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.length + other.length,
            self.wrong + other.wrong,
            self.pairs + other.pairs,
            self.found + other.found,
        )

    @property
    def error_rate(self) -> float:
        """CER: edits for each hundred true characters."""
        return 100 * self.wrong / self.length

    @property
    def bigram_recall(self) -> float:
        """Pairs that were read, wherever they stand, in per cent: the proxy for "can it be found"."""
        return 100 * self.found / self.pairs


def score(true: str, read: str) -> Score:
    true, read = plain(true), plain(read)
    pairs = Counter(pairwise(true))
    found = (pairs & Counter(pairwise(read))).total()
    return Score(len(true), distance(true, read), pairs.total(), found)


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
