"""What every store shares: which keys are possible, and bodies whose reads raise the project's errors."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from batchjob.errors import ObjectRefusedError, PermanentError
from batchjob.ports import ObjectMeta

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_KEY_BYTES = 1024
"""S3's limit for a key in UTF-8 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""


def checked_key(key: str) -> bytes:
    """The key in UTF-8. Raises ObjectRefusedError for a key that no store can hold."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise ObjectRefusedError(
            f"key {key!r} is not valid Unicode (a lone surrogate); rename the object"
        ) from None
    if not encoded:
        raise ObjectRefusedError("an empty key names no object")
    if b"\0" in encoded:
        raise ObjectRefusedError(f"key {key!r} contains a NUL character; rename the object")
    if len(encoded) > MAX_KEY_BYTES:
        raise ObjectRefusedError(
            f"key {key[:60]!r}… is {len(encoded)} bytes long, the most is {MAX_KEY_BYTES}"
        )
    return encoded


def checked_range(meta: ObjectMeta, byte_range: tuple[int, int] | None) -> tuple[int, int]:
    """First byte and length of a range as HTTP means it (RFC 9110, section 14.1.2): cut at the object's end.

    Raises PermanentError for one that holds nothing.
    """
    if byte_range is None:
        return 0, meta.size
    first, last = byte_range
    if not 0 <= first <= last or first >= meta.size:
        raise PermanentError(f"{meta.key!r} has no bytes {first} to {last}: it is {meta.size} bytes long")
    return first, min(last + 1, meta.size) - first


class Body(io.RawIOBase):
    """A stream over `read(n)`, which gives up to n bytes, none at the end, and the project's errors."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        super().__init__()
        self._read = read
        self._close = close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def body(read: Callable[[int], bytes], close: Callable[[], None]) -> io.BufferedReader:
    return io.BufferedReader(Body(read, close), buffer_size=64 * 1024)
