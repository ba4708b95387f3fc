"""Packs bytes as `-lh5-` streams: an encoder of the tests' own, made from the format's description."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

WINDOW = 8192
SHORTEST, LONGEST = 3, 256
LITERALS, SYMBOLS, DISTANCES, LENGTHS = 256, 510, 14, 19
MAX_CODE = 16
Token = tuple[int, int]
"""A symbol, and a distance for symbols of 256 and more."""


class _Bits:
    def __init__(self) -> None:
        self._parts: list[str] = []

    def put(self, value: int, width: int) -> None:
        if width:
            self._parts.append(f"{value:0{width}b}")

    def bytes(self) -> bytes:
        text = "".join(self._parts)
        text += "0" * (-len(text) % 8)
        return int(text or "0", 2).to_bytes(len(text) // 8, "big")


def pack(data: bytes, block: int = 16_000) -> bytes:
    """A stream that unpacks to `data`, with so many symbols a block."""
    bits = _Bits()
    tokens = list(_tokens(data))
    for start in range(0, len(tokens), block):
        _put_block(bits, tokens[start : start + block])
    return bits.bytes()


def pack_literals(data: bytes) -> bytes:
    """A stream without matches, which is quick to make: every byte is a code of 8 bits."""
    bits = _Bits()
    for start in range(0, len(data), 65535):
        part = data[start : start + 65535]
        for value, width in ((len(part), 16), (0, 5), (10, 5), (256, 9), (0, 4), (0, 4)):
            bits.put(value, width)
        bits.put(int.from_bytes(part, "big"), 8 * len(part))
    return bits.bytes()


def bomb(blocks: int) -> bytes:
    """Each block of 65,535 matches of 256 bytes takes 52 bits: no code has any length."""
    bits = _Bits()
    for _ in range(blocks):
        for value, width in ((65535, 16), (0, 5), (0, 5), (0, 9), (509, 9), (0, 4), (0, 4)):
            bits.put(value, width)
    return bits.bytes()


def _tokens(data: bytes) -> Iterator[Token]:
    """Greedy: the nearest earlier place that begins with the same three bytes."""
    seen: dict[bytes, int] = {}
    at = 0
    while at < len(data):
        key = data[at : at + SHORTEST]
        before = seen.get(key, -1) if len(key) == SHORTEST else -1
        seen[key] = at
        if before < 0 or at - before > WINDOW:
            yield data[at], 0
            at += 1
            continue
        length = SHORTEST
        while length < LONGEST and at + length < len(data) and data[before + length] == data[at + length]:
            length += 1
        yield LITERALS + length - SHORTEST, at - before
        at += length


def _put_block(bits: _Bits, tokens: Sequence[Token]) -> None:
    bits.put(len(tokens), 16)
    symbols = _code_lengths(Counter(symbol for symbol, _ in tokens), SYMBOLS)
    distances = _code_lengths(Counter(_bits_of(distance) for _, distance in tokens if distance), DISTANCES)
    _put_symbol_lengths(bits, symbols)
    _put_lengths(bits, distances, 4, special=None)
    symbol_codes, distance_codes = _codes(symbols), _codes(distances)
    for symbol, distance in tokens:
        bits.put(*symbol_codes[symbol])
        if distance:
            size = _bits_of(distance)
            bits.put(*distance_codes[size])
            bits.put(distance - 1 - (1 << size - 1) if size > 1 else 0, max(size - 1, 0))


def _bits_of(distance: int) -> int:
    return (distance - 1).bit_length()


def _code_lengths(counts: Counter[int], size: int) -> list[int]:
    """Lengths of a Huffman code of at most MAX_CODE bits; of a single symbol -1, since it takes none."""
    lengths = [0] * size
    if len(counts) == 1:
        lengths[next(iter(counts))] = -1
        return lengths
    weights = dict(counts)
    while True:
        heap = [(weight, symbol, (symbol,)) for symbol, weight in weights.items()]
        heapq.heapify(heap)
        lengths = [0] * size
        while len(heap) > 1:
            (one, order, left), (other, _, right) = heapq.heappop(heap), heapq.heappop(heap)
            for symbol in left + right:
                lengths[symbol] += 1
            heapq.heappush(heap, (one + other, order, left + right))
        if max(lengths) <= MAX_CODE:
            return lengths
        weights = {symbol: weight // 2 + 1 for symbol, weight in weights.items()}


def _codes(lengths: list[int]) -> dict[int, tuple[int, int]]:
    """Canonical: shorter ones first, then by symbol."""
    if -1 in lengths:
        return {lengths.index(-1): (0, 0)}
    codes, code, before = {}, 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
        code <<= length - before
        codes[symbol] = (code, length)
        code, before = code + 1, length
    return codes


def _put_lengths(bits: _Bits, lengths: list[int], width: int, special: int | None) -> None:
    if not any(lengths) or -1 in lengths:
        bits.put(0, width)
        bits.put(lengths.index(-1) if -1 in lengths else 0, width)
        return
    count = max(symbol for symbol, length in enumerate(lengths) if length) + 1
    bits.put(count, width)
    at = 0
    while at < count:
        length = lengths[at]
        if length < 7:
            bits.put(length, 3)
        else:
            bits.put((1 << length - 3) - 2, length - 3)
        at += 1
        if at == special:
            skipped = 0
            while skipped < 3 and at + skipped < count and not lengths[at + skipped]:
                skipped += 1
            bits.put(skipped, 2)
            at += skipped


def _put_symbol_lengths(bits: _Bits, lengths: list[int]) -> None:
    if -1 in lengths:
        for value, width in ((0, 5), (0, 5), (0, 9), (lengths.index(-1), 9)):
            bits.put(value, width)
        return
    written = list(_run_lengths(lengths))
    codes = _code_lengths(Counter(symbol for symbol, _, _ in written), LENGTHS)
    _put_lengths(bits, codes, 5, special=3)
    table = _codes(codes)
    bits.put(max(symbol for symbol, length in enumerate(lengths) if length) + 1, 9)
    for symbol, value, width in written:
        bits.put(*table[symbol])
        bits.put(value, width)


def _run_lengths(lengths: list[int]) -> Iterator[tuple[int, int, int]]:
    """A symbol of the table of lengths, and a value of so many bits behind it."""
    count = max(symbol for symbol, length in enumerate(lengths) if length) + 1
    at = 0
    while at < count:
        if lengths[at]:
            yield lengths[at] + 2, 0, 0
            at += 1
            continue
        run = next(offset for offset in range(count - at) if lengths[at + offset])
        at += run
        if run == 19:
            yield 0, 0, 0
            run = 18
        if run < 3:
            yield from [(0, 0, 0)] * run
        elif run < 20:
            yield 1, run - 3, 4
        else:
            yield 2, run - 20, 9
