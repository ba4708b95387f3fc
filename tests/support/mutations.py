"""Damages documents as disks, networks and careless programs do: flipped bits, cut ends, parts of other files."""

import random
from collections.abc import Callable, Iterator, Mapping


def _flipped(data: bytearray, noise: random.Random, _: bytes) -> bytes:
    for _ in range(noise.choice((1, 3, 10, 100))):
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
    return bytes(data)


def _cut(data: bytearray, noise: random.Random, _: bytes) -> bytes:
    return bytes(data[: noise.randrange(len(data))])


def _spliced(data: bytearray, noise: random.Random, other: bytes) -> bytes:
    """A part of another document stands in the place of a part of this one."""
    start, end = sorted(noise.randrange(len(data)) for _ in range(2))
    first, last = sorted(noise.randrange(len(other)) for _ in range(2))
    data[start : min(end, start + 4000)] = other[first : min(last, first + 4000)]
    return bytes(data)


def _joined(data: bytearray, noise: random.Random, other: bytes) -> bytes:
    """The beginning of one document and the end of another."""
    return bytes(data[: noise.randrange(len(data))]) + other[noise.randrange(len(other)) :]


def _zeroed(data: bytearray, noise: random.Random, _: bytes) -> bytes:
    """Blocks that were never written."""
    start = noise.randrange(len(data)) // 512 * 512
    length = min(noise.choice((512, 4096)), len(data) - start)
    data[start : start + length] = bytes(length)
    return bytes(data)


_KINDS: tuple[Callable[[bytearray, random.Random, bytes], bytes], ...] = (
    _flipped, _cut, _spliced, _joined, _zeroed,
)  # fmt: skip


def mutated(documents: Mapping[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged documents, each of the given ones and each kind of damage in turn; the same for a seed."""
    names = sorted(documents)
    for number in range(count):
        noise = random.Random(f"{seed} {number}")
        name = names[number % len(names)]
        damage = _KINDS[number // len(names) % len(_KINDS)]
        data = damage(bytearray(documents[name]), noise, documents[noise.choice(names)])
        stem, _, suffix = name.rpartition(".")
        yield f"{number:04d} {stem} {damage.__name__.strip('_')}.{suffix}", data
