"""Form-encoded keys of an inventory's CSV files, decoded a batch at a time."""

import numpy as np
import pyarrow as pa

PERCENT, PLUS, SPACE = b"%+ "
NOT_HEX = 255
HEX = np.full(256, NOT_HEX, np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    HEX[np.frombuffer(_digits, np.uint8)] = np.arange(16, dtype=np.uint8)


class BadRowError(ValueError):
    """A row with a value that cannot be read; `place` is its place in the batch."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place


def form_decoded(keys: pa.StringArray) -> pa.StringArray:
    """Keys with `%XX` and `+` decoded as in an HTML form; there must be no null among them.

    S3 Inventory encodes the keys of its CSV files so, and both `+` and `%` are themselves encoded.
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html; form encoding:
    https://url.spec.whatwg.org/#application/x-www-form-urlencoded)

    Raises BadRowError for an incomplete escape, and for one that makes no UTF-8.
    """
    offsets = np.frombuffer(keys.buffers()[1], np.int32)[keys.offset : keys.offset + len(keys) + 1]
    data = np.frombuffer(keys.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]].copy()
    starts = offsets - offsets[0]
    escapes = np.flatnonzero(data == PERCENT)
    data[data == PLUS] = SPACE
    keep = np.ones(len(data), bool)
    if len(escapes):
        ends = starts[np.searchsorted(starts, escapes, side="right")]
        padded = np.concatenate([data, np.zeros(2, np.uint8)])
        high, low = HEX[padded[escapes + 1]], HEX[padded[escapes + 2]]
        wrong = (escapes + 2 >= ends) | (high == NOT_HEX) | (low == NOT_HEX)
        if wrong.any():
            place = int(np.searchsorted(starts, escapes[wrong][0], side="right")) - 1
            raise BadRowError(place, f"key {keys[place].as_py()!r} has an incomplete escape: is it encoded?")
        data[escapes] = high * 16 + low
        keep[escapes + 1] = keep[escapes + 2] = False
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    decoded = pa.Array.from_buffers(
        pa.binary(),
        len(keys),
        [None, pa.py_buffer(kept[starts].astype(np.int32)), pa.py_buffer(data[keep])],
    )
    try:
        return decoded.cast(pa.string())
    except pa.ArrowInvalid:
        raise _not_utf8(decoded, keys) from None


def _not_utf8(decoded: pa.BinaryArray, keys: pa.StringArray) -> BadRowError:
    for place, key in enumerate(decoded.to_pylist()):
        try:
            key.decode()
        except UnicodeDecodeError:
            return BadRowError(place, f"key {keys[place].as_py()!r} is not UTF-8 when decoded")
    raise AssertionError("Arrow and Python differ on what is UTF-8")
