"""The file of Kuromoji's user dictionary: names that must not be cut into words."""

from pathlib import Path

from batchjob.cli import services
from batchjob.cli.manifests import split_place
from batchjob.errors import ObjectMissingError, UsageError
from batchjob.settings import Settings

COLUMNS = 4
"""Surface, its segments, their readings (both separated by spaces), part of speech.

(Lucene, org.apache.lucene.analysis.ja.dict.UserDictionary)
"""


def read_dictionary(settings: Settings) -> tuple[str, ...]:
    """The rules, none without the setting. Raises UsageError with the line that is wrong, TransientError."""
    place = settings.user_dictionary
    if place is None:
        return ()
    try:
        lines = _read(place, settings).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"user dictionary {place!r} is not in UTF-8") from None
    rules: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            surface = _check(place, number, line.strip())
            if surface in rules:
                raise UsageError(f"user dictionary {place!r}, line {number}: {surface!r} is there twice")
            rules[surface] = line.strip()
    return tuple(rules.values())


def _read(place: str, settings: Settings) -> bytes:
    try:
        if not place.startswith("s3:"):
            return Path(place).read_bytes()
        bucket, key = split_place(place)
        with services.source(settings, bucket).open(key) as opened:
            return opened.body.read()
    except (OSError, ObjectMissingError) as error:
        raise UsageError(f"user dictionary {place!r} cannot be read: {error}") from None


def _check(place: str, number: int, line: str) -> str:
    columns = line.split(",")
    surface, *rest = columns
    segments = rest[0].split() if rest else []
    readings = rest[1].split() if len(rest) > 1 else []
    if len(columns) != COLUMNS or "".join(segments) != surface or len(segments) != len(readings):
        raise UsageError(
            f"user dictionary {place!r}, line {number}: {line!r} is not of the form WORD,its segments,their "
            "readings,part of speech, for example 関西国際空港,関西 国際 空港,カンサイ コクサイ クウコウ,カスタム名詞"
        )
    return surface
