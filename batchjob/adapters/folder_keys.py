"""How the work folder names files after keys: any key has one path, and no two keys share or block one.

A key is cut at its slashes. All segments but the last are folders, whose names never contain a dot;
the last is a file, whose name always does: it gets `%.` behind it where it has none. So `a` and `a/b`
live side by side. Unsafe characters are percent-encoded (RFC 3986), an empty folder segment is `%_`, and
a segment too long for a file name becomes nested folders whose names end in `%-`. Ordinary keys
look the same on disk. `%` is always encoded, so none of the marks can come from a key.
"""

from urllib.parse import quote_from_bytes, unquote_to_bytes

from batchjob.adapters.objects import checked_key

SAFE = " !$&'()+,=@"
EMPTY = "%_"
CONTINUED = "%-"
LEAF = "%."
MAX_NAME = 200
"""Longest encoded segment in one name; file systems take 255 bytes."""
CHUNK = 66
"""Bytes of a long segment in one name: three times as many characters when all are encoded."""


def _quoted(segment: bytes) -> str:
    return quote_from_bytes(segment, safe=SAFE)


def _undotted(segment: bytes) -> str:
    return _quoted(segment).replace(".", "%2E")


def _chunks(segment: bytes) -> list[str]:
    return [_undotted(segment[start : start + CHUNK]) for start in range(0, len(segment), CHUNK)]


def _folder_names(segment: bytes) -> list[str]:
    name = _undotted(segment) or EMPTY
    if len(name) <= MAX_NAME:
        return [name]
    *first, last = _chunks(segment)
    return [*(part + CONTINUED for part in first), last]


def _file_names(segment: bytes) -> list[str]:
    name = _undotted(segment) if segment in (b".", b"..") else _quoted(segment)
    if len(name) <= MAX_NAME:
        return [name if "." in name else name + LEAF]
    *first, last = _chunks(segment)
    return [*(part + CONTINUED for part in first), last + LEAF]


def folder_path(prefix: bytes) -> str:
    """The relative path of the folder that holds every key beginning with `prefix`, which ends in a slash."""
    return "/".join(name for segment in prefix.split(b"/")[:-1] for name in _folder_names(segment))


def file_path(key: str) -> str:
    """The relative path of a key's file. Raises UsageError for an impossible key."""
    *folders, last = checked_key(key).split(b"/")
    names = [name for segment in folders for name in _folder_names(segment)]
    return "/".join([*names, *_file_names(last)])


def part_of_key(name: str, *, is_folder: bool) -> bytes | None:
    """The bytes that a name on disk adds to the key so far; None for a name that no key has."""
    if ("." in name) == is_folder:
        return None
    if not is_folder:
        return unquote_to_bytes(name.removesuffix(LEAF))
    if name.endswith(CONTINUED):
        return unquote_to_bytes(name.removesuffix(CONTINUED))
    return (b"" if name == EMPTY else unquote_to_bytes(name)) + b"/"
