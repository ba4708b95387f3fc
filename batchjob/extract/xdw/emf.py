"""Reads the enhanced metafile of a printed page: its text and where that lies, and pictures (MS-EMF)."""

import struct
from collections.abc import Callable
from dataclasses import replace

from batchjob.extract.xdw.charsets import decode_wide
from batchjob.extract.xdw.context import PIXELS, UNITS, Context, Font, World, then
from batchjob.extract.xdw.drawing import MAX_RECORDS, Dib, Drawing, Stored, from_top

_HEADER, _END = 1, 14
_TEXT_A, _TEXT_W = 83, 84
_GLYPHS, _TWO_WAYS = 0x10, 0x2000
_SMALL, _NO_RECTANGLE = 0x200, 0x100
_AT_POSITION = 1
_SOURCE_COPY = 0x00CC0020
_MOST_RUNS = 4096
"""Runs of text in one record."""
_MAX_SAVED = 256
_MAX_FONTS = 65_536
_PATHS = frozenset({*range(2, 9), *range(41, 48), *range(52, 57), *range(62, 65), *range(85, 93)})
"""Records that draw lines and areas."""
_DW_PATHS = (b"DW04", b"DW05")
_EMF_PLUS = b"EMF+"


def read_emf(data: bytes) -> Drawing:
    """What a metafile draws, as far as its records go: a record of impossible size ends it, and marks it damaged."""
    reader = _Reader(data)
    reader.read()
    return reader.drawing


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.drawing = Drawing()
        self._state = Context()
        self._saved: list[Context] = []
        self._fonts: dict[int, Font] = {}
        self._picture: Dib | Stored | None = None
        self._next_picture = 0
        self._records: dict[int, Callable[[int, int], None]] = {
            _HEADER: self._header,
            9: self._window_size,
            10: self._window,
            11: self._viewport_size,
            12: self._viewport,
            17: self._map_mode,
            22: self._align,
            27: self._move,
            31: self._scale_viewport,
            32: self._scale_window,
            33: self._save,
            34: self._restore,
            35: self._set_world,
            36: self._modify_world,
            37: self._select,
            40: self._delete,
            70: self._comment,
            76: self._blit,
            77: self._blit,
            78: self._blit,
            79: self._skewed,
            80: self._to_device,
            81: self._stretch,
            82: self._font,
            _TEXT_A: self._text,
            _TEXT_W: self._text,
            96: self._poly_text,
            97: self._poly_text,
            108: self._small_text,
            114: self._blit,
            116: self._blit,
        }

    def read(self) -> None:
        data, end, at = self._data, len(self._data), 0
        for _ in range(MAX_RECORDS):
            if at + 8 > end:
                self.drawing.damaged = True
                return
            kind, size = struct.unpack_from("<II", data, at)
            if size < 8 or size % 4 or size > end - at:
                self.drawing.damaged = True
                return
            if kind in _PATHS:
                self.drawing.paths += 1
            elif kind == _END:
                return
            elif kind in self._records:
                try:
                    self._records[kind](at, at + size)
                except (struct.error, OverflowError):
                    self.drawing.damaged = True
            at += size
        self.drawing.unread.add("drawing commands beyond the limit")

    def _ints(self, at: int, end: int, count: int) -> tuple[int, ...]:
        if at + 4 * count > end:
            raise struct.error("a record is too short")
        return struct.unpack_from(f"<{count}i", self._data, at)

    def _header(self, at: int, end: int) -> None:
        frame = self._ints(at + 24, end, 4)
        across, _ = self._ints(at + 72, end, 2)
        millimetres, _ = self._ints(at + 80, end, 2)
        if across > 0 and millimetres > 0:
            units = across / millimetres / 100
            left, top, right, bottom = (value * units for value in frame)
            self.drawing.frame = (left, top, right, bottom)
            self.drawing.per_inch = across / millimetres * 25.4

    def _pair(self, at: int, end: int) -> tuple[int, int]:
        x, y = self._ints(at + 8, end, 2)
        return x, y

    def _window_size(self, at: int, end: int) -> None:
        if not self._state.is_fixed:
            self._state = replace(self._state, window_size=self._pair(at, end))

    def _window(self, at: int, end: int) -> None:
        self._state = replace(self._state, window=self._pair(at, end))

    def _viewport_size(self, at: int, end: int) -> None:
        if not self._state.is_fixed:
            self._state = replace(self._state, viewport_size=self._pair(at, end))

    def _viewport(self, at: int, end: int) -> None:
        self._state = replace(self._state, viewport=self._pair(at, end))

    def _scale_viewport(self, at: int, end: int) -> None:
        self._state = replace(self._state, viewport_size=self._scaled(self._state.viewport_size, at, end))

    def _scale_window(self, at: int, end: int) -> None:
        self._state = replace(self._state, window_size=self._scaled(self._state.window_size, at, end))

    def _scaled(self, size: tuple[float, float], at: int, end: int) -> tuple[float, float]:
        across, by_across, down, by_down = self._ints(at + 8, end, 4)
        if not (across and by_across and down and by_down):
            return size
        return size[0] * across / by_across, size[1] * down / by_down

    def _map_mode(self, at: int, end: int) -> None:
        """One unit a pixel, or a fixed length of which y counts upwards; else what windows and viewports say."""
        (mode,) = self._ints(at + 8, end, 1)
        if mode in UNITS:
            scale = self.drawing.per_inch * UNITS[mode] or 1.0
            self._state = replace(self._state, window_size=(1, 1), viewport_size=(scale, -scale))
        elif mode == PIXELS:
            self._state = replace(self._state, window_size=(1, 1), viewport_size=(1, 1))
        self._state = replace(self._state, mode=mode)

    def _align(self, at: int, end: int) -> None:
        self._state = replace(self._state, align=self._ints(at + 8, end, 1)[0])

    def _move(self, at: int, end: int) -> None:
        self._state = replace(self._state, position=self._pair(at, end))

    def _save(self, at: int, end: int) -> None:
        if len(self._saved) < _MAX_SAVED:
            self._saved.append(self._state)

    def _restore(self, at: int, end: int) -> None:
        which = self._ints(at + 8, end, 1)[0]
        keep = len(self._saved) + which if which < 0 else which - 1
        if 0 <= keep < len(self._saved):
            self._state = self._saved[keep]
            del self._saved[keep:]

    def _floats(self, at: int, end: int) -> World:
        if at + 24 > end:
            raise struct.error("a record is too short")
        m11, m12, m21, m22, dx, dy = struct.unpack_from("<6f", self._data, at)
        return m11, m12, m21, m22, dx, dy

    def _set_world(self, at: int, end: int) -> None:
        self._state = replace(self._state, world=self._floats(at + 8, end))

    def _modify_world(self, at: int, end: int) -> None:
        given, mode = self._floats(at + 8, end), self._ints(at + 32, end, 1)[0]
        now = self._state.world
        world = {1: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), 2: then(given, now), 3: then(now, given), 4: given}
        self._state = replace(self._state, world=world.get(mode, now))

    def _font(self, at: int, end: int) -> None:
        handle, height, _, escapement = self._ints(at + 8, end, 4)
        if at + 36 <= end and len(self._fonts) < _MAX_FONTS:
            face = decode_wide(self._data[at + 40 : min(at + 104, end)]).split("\0")[0]
            self._fonts[handle] = Font(height, self._data[at + 35], escapement, face)

    def _select(self, at: int, end: int) -> None:
        handle = self._ints(at + 8, end, 1)[0]
        if handle in self._fonts:
            self._state = replace(self._state, font=self._fonts[handle])
        elif handle & 0xFFFFFFFF in range(0x8000000A, 0x80000012):
            self._state = replace(self._state, font=Font())  # one of the system's

    def _delete(self, at: int, end: int) -> None:
        self._fonts.pop(self._ints(at + 8, end, 1)[0], None)

    def _text(self, at: int, end: int) -> None:
        (kind,) = struct.unpack_from("<I", self._data, at)
        self._run(at, at + 36, end, wide=kind == _TEXT_W)

    def _poly_text(self, at: int, end: int) -> None:
        (kind,) = struct.unpack_from("<I", self._data, at)
        (count,) = self._ints(at + 36, end, 1)
        if count > _MOST_RUNS:
            self.drawing.unread.add(f"runs of text beyond {_MOST_RUNS:,} of a record")
        for index in range(min(max(count, 0), _MOST_RUNS)):
            self._run(at, at + 40 + 40 * index, end, wide=kind == 97)

    def _run(self, at: int, text: int, end: int, *, wide: bool) -> None:
        """An EmrText object (MS-EMF 2.2.5) at `text`; its offsets count from the record at `at`."""
        x, y, count, offset, options = self._ints(text, end, 5)
        (spacing,) = self._ints(text + 36, end, 1)
        length = count * 2 if wide else count
        if count <= 0:
            return
        if offset < 0 or at + offset + length > end:
            raise struct.error("a run of text leaves its record")
        width = self._width(at + spacing, count, end, both=bool(options & _TWO_WAYS)) if spacing > 0 else None
        self._take(self._data[at + offset : at + offset + length], x, y, options, wide=wide, width=width)

    def _width(self, at: int, count: int, end: int, *, both: bool) -> float | None:
        if at + 4 * count * (2 if both else 1) > end:
            return None
        steps = struct.unpack_from(f"<{count * (2 if both else 1)}i", self._data, at)
        return float(sum(steps[::2] if both else steps))

    def _small_text(self, at: int, end: int) -> None:
        x, y, count, options = self._ints(at + 8, end, 4)
        start = at + (36 if options & _NO_RECTANGLE else 52)
        wide = not options & _SMALL
        length = count * 2 if wide else count
        if count <= 0:
            return
        if start + length > end:
            raise struct.error("a run of text leaves its record")
        self._take(self._data[start : start + length], x, y, options, wide=wide, width=None)

    def _take(self, data: bytes, x: int, y: int, options: int, *, wide: bool, width: float | None) -> None:
        state = self._state
        if state.align & _AT_POSITION:
            x, y = state.position
            self._state = replace(state, position=(x + round(width or 0), y))
        text = self.drawing.text_of(data, state.font, glyphs=bool(options & _GLYPHS), wide=wide)
        if text:
            self.drawing.lines.add(text, state.spot(x, y, width))

    def _stretch(self, at: int, end: int) -> None:
        x, y, left, top, across, down = self._ints(at + 24, end, 6)
        operation, width, height = self._ints(at + 68, end, 3)
        self._dib(at, end, at + 48)
        self._draw((x, y, width, height), (left, self._from_top(top, down), across, down), operation)

    def _from_top(self, top: int, height: int) -> int:
        """The row, counted from the top, of a part of the current bitmap, which is counted from its origin."""
        return from_top(self._picture.header, top, height) if isinstance(self._picture, Dib) else top

    def _to_device(self, at: int, end: int) -> None:
        x, y, left, top, across, down = self._ints(at + 24, end, 6)
        self._dib(at, end, at + 48)
        self._draw((x, y, across, down), (left, self._from_top(top, down), across, down), _SOURCE_COPY)

    def _blit(self, at: int, end: int) -> None:
        x, y, width, height, operation, left, top = self._ints(at + 24, end, 7)
        if self._ints(at + 96, end, 1)[0] <= 0:
            return  # a plain fill
        (kind,) = struct.unpack_from("<I", self._data, at)
        across, down = self._ints(at + 100, end, 2) if kind in (77, 114, 116) else (width, height)
        self._dib(at, end, at + 84)
        self._draw((x, y, width, height), (left, top, across, down), operation)

    def _skewed(self, at: int, end: int) -> None:
        self.drawing.unread.add("pictures drawn as parallelograms")

    def _dib(self, at: int, end: int, sizes: int) -> None:
        """Makes the bitmap whose four offsets and sizes are at `sizes` the current picture."""
        header, header_size, bits, bits_size = self._ints(sizes, end, 4)
        if (
            min(header, header_size, bits, bits_size) < 0
            or max(header + header_size, bits + bits_size) > end - at
        ):
            raise struct.error("a bitmap leaves its record")
        data = self._data
        self._picture = Dib(
            data[at + header : at + header + header_size], data[at + bits : at + bits + bits_size]
        )

    def _draw(
        self, place: tuple[int, int, int, int], part: tuple[int, int, int, int], operation: int
    ) -> None:
        if self._picture is None:
            self.drawing.damaged = True
            return
        x, y, width, height = place
        left, top = self._state.device(x, y)
        right, bottom = self._state.device(x + width, y + height)
        self.drawing.place(self._picture, (left, top, right, bottom), part, operation & 0xFFFFFFFF)

    def _comment(self, at: int, end: int) -> None:
        """A driver's own records: pictures of the page, and the outlines it draws."""
        sign = self._data[at + 12 : at + 16]
        if sign == b"DWa\0":
            self._dib(at, end, at + 16)
        elif sign == b"DWb\0":
            self._picture = Stored(self._next_picture)
            self._next_picture += 1
        elif sign == b"DWc\0":
            _, _, _, _, x, y, left, top, across, down, _, operation, width, height = self._ints(
                at + 16, end, 14
            )
            self._draw((x, y, width, height), (left, top, across, down), operation)
        elif sign in _DW_PATHS:
            self.drawing.paths += 1
        elif sign == _EMF_PLUS:
            self.drawing.unread.add("EMF+ drawing commands")
