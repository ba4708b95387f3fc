"""Reads the older metafile of a printed page: its text and where that lies, and pictures (MS-WMF)."""

import struct
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush

from batchjob.extract.xdw.context import UNITS, Context, Font
from batchjob.extract.xdw.drawing import MAX_RECORDS, Box, Dib, Drawing, Stored, from_top

_PLACEABLE = b"\xd7\xcd\xc6\x9a"
_PLACEABLE_SIZE = 22
_SOURCE_COPY = 0x00CC0020
_CREATES = frozenset({0x00F7, 0x0142, 0x01F9, 0x02FA, 0x02FC, 0x06FF})
"""Records that take a slot for an object that is no font."""
_PATHS = frozenset({0x0213, 0x0324, 0x0325, 0x0418, 0x041B, 0x0538, 0x061C, 0x0817, 0x081A, 0x0830})
_DEVICE_BITMAPS = frozenset({0x0922, 0x0B23})
"""Records that draw bitmaps in the form of one device (MS-WMF 2.3.1.1 and .5)."""
_RECTANGLE, _GLYPHS = 0x6, 0x10
_MAX_SLOTS = 65_536
_HEADER_SIZES = (12, 40, 52, 56, 108, 124)
_AT_POSITION = 1
_MAX_SAVED = 256


def read_wmf(data: bytes) -> Drawing:
    """What a metafile draws, as far as its records go."""
    reader = _Reader(data)
    reader.read()
    return reader.drawing


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.drawing = Drawing()
        self._slots: list[Font | str | None] = []
        self._free: list[int] = []
        self._state = Context()
        self._saved: list[Context] = []
        self._has_window = False
        self._picture: Stored | None = None
        self._next_picture = 0
        self._records: dict[int, Callable[[int, int], None]] = {
            0x001E: self._save,
            0x0103: self._map_mode,
            0x0127: self._restore,
            0x012D: self._select,
            0x012E: self._set_align,
            0x01F0: self._delete,
            0x020B: self._window,
            0x020C: self._window_size,
            0x020D: self._viewport,
            0x020E: self._viewport_size,
            0x020F: self._move_window,
            0x0211: self._move_viewport,
            0x0214: self._move,
            0x02FB: self._create_font,
            0x0410: self._scale_window,
            0x0412: self._scale_viewport,
            0x0521: self._text_out,
            0x0626: self._escape,
            0x0A32: self._extended_text_out,
            0x0B41: self._stretch_blit,
            0x0940: self._blit,
            0x0F43: self._stretch,
            0x0D33: self._to_device,
        }

    def read(self) -> None:
        data, end = self._data, len(self._data)
        at = self._placed() if data.startswith(_PLACEABLE) else 0
        if at + 18 > end:
            self.drawing.damaged = True
            return
        at += struct.unpack_from("<H", data, at + 2)[0] * 2
        for _ in range(MAX_RECORDS):
            if at + 6 > end:
                self.drawing.damaged = True
                return
            words, function = struct.unpack_from("<IH", data, at)
            if not function:
                return
            if words < 3 or words * 2 > end - at:
                self.drawing.damaged = True
                return
            self._take(function, at + 6, at + words * 2)
            at += words * 2
        self.drawing.unread.add("drawing commands beyond the limit")

    def _placed(self) -> int:
        left, top, right, bottom, units = struct.unpack_from("<4hH", self._data.ljust(22, b"\0"), 6)
        self.drawing.frame = (left, top, right, bottom)
        self.drawing.per_inch = units
        return _PLACEABLE_SIZE

    def _take(self, function: int, at: int, end: int) -> None:
        if function in _CREATES:
            self._put("other")
        elif function in _PATHS:
            self.drawing.paths += 1
        elif function in _DEVICE_BITMAPS and (end - at) // 2 > function >> 8:  # else a plain fill
            self.drawing.unread.add("pictures in the form of one device")
        elif function in self._records:
            try:
                self._records[function](at, end)
            except struct.error:
                self.drawing.damaged = True

    def _words(self, at: int, end: int, form: str) -> tuple[int, ...]:
        if at + struct.calcsize(form) > end:
            raise struct.error("a record is too short")
        return struct.unpack_from(form, self._data, at)

    def _put(self, made: "Font | str") -> None:
        """Each object takes the lowest free slot."""
        if self._free:
            self._slots[heappop(self._free)] = made
        elif len(self._slots) < _MAX_SLOTS:
            self._slots.append(made)

    def _create_font(self, at: int, end: int) -> None:
        height, _, escapement = self._words(at, min(at + 6, end), "<hhh")
        charset = self._data[at + 13] if at + 13 < end else None
        face = self._data[at + 18 : min(at + 50, end)].split(b"\0")[0].decode("cp932", errors="replace")
        self._put(Font(height, charset, escapement, face))

    def _select(self, at: int, end: int) -> None:
        (slot,) = self._words(at, end, "<H")
        chosen = self._slots[slot] if slot < len(self._slots) else None
        if isinstance(chosen, Font):
            self._state = replace(self._state, font=chosen)

    def _delete(self, at: int, end: int) -> None:
        (slot,) = self._words(at, end, "<H")
        if slot < len(self._slots) and self._slots[slot] is not None:
            self._slots[slot] = None
            heappush(self._free, slot)

    def _set_align(self, at: int, end: int) -> None:
        self._state = replace(self._state, align=self._words(at, end, "<H")[0])

    def _pair(self, at: int, end: int) -> tuple[int, int]:
        y, x = self._words(at, end, "<hh")
        return x, y

    def _move(self, at: int, end: int) -> None:
        self._state = replace(self._state, position=self._pair(at, end))

    def _save(self, at: int, end: int) -> None:
        if len(self._saved) < _MAX_SAVED:
            self._saved.append(self._state)

    def _restore(self, at: int, end: int) -> None:
        (which,) = self._words(at, end, "<h")
        keep = len(self._saved) + which if which < 0 else which - 1
        if 0 <= keep < len(self._saved):
            self._state = self._saved[keep]
            del self._saved[keep:]

    def _map_mode(self, at: int, end: int) -> None:
        """In modes of a fixed length y counts upwards; how long that is does not matter here."""
        (mode,) = self._words(at, end, "<H")
        self._state = replace(self._state, mode=mode)
        if self._state.is_fixed:
            down = -1 if mode in UNITS else 1
            self._state = replace(self._state, window_size=(1, 1), viewport_size=(1, down))

    def _window(self, at: int, end: int) -> None:
        self._state = replace(self._state, window=self._pair(at, end))

    def _viewport(self, at: int, end: int) -> None:
        self._state = replace(self._state, viewport=self._pair(at, end))

    def _move_window(self, at: int, end: int) -> None:
        (x, y), (across, down) = self._state.window, self._pair(at, end)
        self._state = replace(self._state, window=(x + across, y + down))

    def _move_viewport(self, at: int, end: int) -> None:
        (x, y), (across, down) = self._state.viewport, self._pair(at, end)
        self._state = replace(self._state, viewport=(x + across, y + down))

    def _window_size(self, at: int, end: int) -> None:
        """The first one is the drawing's size, in the unit of which all is counted that follows."""
        across, down = self._pair(at, end)
        if not (across and down) or self._state.is_fixed:
            return
        self._state = replace(self._state, window_size=(across, down))
        if self._has_window:
            return
        self._has_window = True
        self._state = replace(self._state, viewport_size=(abs(across), abs(down)))
        if self.drawing.frame == (0.0, 0.0, 0.0, 0.0):
            self.drawing.frame = (0.0, 0.0, float(abs(across)), float(abs(down)))

    def _viewport_size(self, at: int, end: int) -> None:
        across, down = self._pair(at, end)
        if across and down and not self._state.is_fixed:
            self._has_window = True
            self._state = replace(self._state, viewport_size=(across, down))

    def _scale_window(self, at: int, end: int) -> None:
        self._state = replace(self._state, window_size=self._scaled(self._state.window_size, at, end))

    def _scale_viewport(self, at: int, end: int) -> None:
        self._state = replace(self._state, viewport_size=self._scaled(self._state.viewport_size, at, end))

    def _scaled(self, size: tuple[float, float], at: int, end: int) -> tuple[float, float]:
        by_down, down, by_across, across = self._words(at, end, "<hhhh")
        if not (across and by_across and down and by_down):
            return size
        return size[0] * across / by_across, size[1] * down / by_down

    def _extended_text_out(self, at: int, end: int) -> None:
        y, x, count, options = self._words(at, end, "<hhhh")
        start = at + (16 if options & _RECTANGLE else 8)
        spacing = start + (count + 1) // 2 * 2
        width = None
        if count > 0 and spacing + 2 * count <= end:
            width = float(sum(struct.unpack_from(f"<{count}h", self._data, spacing)))
        self._run(start, count, end, x, y, options, width)

    def _text_out(self, at: int, end: int) -> None:
        (count,) = self._words(at, end, "<h")
        after = at + 2 + (count + 1) // 2 * 2
        y, x = self._words(after, end, "<hh") if count > 0 else (0, 0)
        self._run(at + 2, count, end, x, y, 0, None)

    def _run(self, at: int, count: int, end: int, x: int, y: int, options: int, width: float | None) -> None:
        if count <= 0:
            return
        if at + count > end:
            raise struct.error("a run of text leaves its record")
        state = self._state
        if state.align & _AT_POSITION:
            x, y = state.position
            self._state = replace(state, position=(x + round(width or 0), y))
        data, glyphs = self._data[at : at + count], bool(options & _GLYPHS)
        text = self.drawing.text_of(data, state.font, glyphs=glyphs, wide=False)
        if text:
            self.drawing.lines.add(text, state.spot(x, y, width))

    def _stretch(self, at: int, end: int) -> None:
        low, high, _, down, across, top, left, height, width, y, x = self._words(at, end, "<HHH8h")
        self._dib(at + 22, end, (x, y, width, height), (left, top, across, down), low | high << 16)

    def _stretch_blit(self, at: int, end: int) -> None:
        if end - at <= 24:
            return  # a plain fill
        low, high, down, across, top, left, height, width, y, x = self._words(at, end, "<HH8h")
        self._dib(at + 20, end, (x, y, width, height), (left, top, across, down), low | high << 16)

    def _blit(self, at: int, end: int) -> None:
        if end - at <= 20:
            return
        low, high, top, left, height, width, y, x = self._words(at, end, "<HH6h")
        self._dib(at + 16, end, (x, y, width, height), (left, top, width, height), low | high << 16)

    def _to_device(self, at: int, end: int) -> None:
        _, _, _, top, left, height, width, y, x = self._words(at, end, "<HHH6h")
        self._dib(at + 18, end, (x, y, width, height), (left, top, width, height), _SOURCE_COPY)

    def _dib(
        self,
        at: int,
        end: int,
        place: tuple[int, int, int, int],
        part: tuple[int, int, int, int],
        operation: int,
    ) -> None:
        header = at + header_length(self._data[at:end])
        dib = Dib(self._data[at:header], self._data[header:end])
        x, y, width, height = place
        left, top, across, down = part
        part = (left, from_top(dib.header, top, down), across, down)
        self.drawing.place(dib, self._box(x, y, width, height), part, operation)

    def _box(self, x: int, y: int, width: int, height: int) -> Box:
        return *self._state.device(x, y), *self._state.device(x + width, y + height)

    def _escape(self, at: int, end: int) -> None:
        """A driver's own records: `DW`, then the next of the page's pictures, or its drawing."""
        sign = self._data[at + 4 : at + 8]
        if sign == b"DW\x02\x01":
            self._picture = Stored(self._next_picture)
            self._next_picture += 1
        elif sign == b"DW\x02\x02" and self._picture is not None:
            self.drawing.place(self._picture, (0, 0, 0, 0), (0, 0, 0, 0), _SOURCE_COPY)


def header_length(dib: bytes) -> int:
    """The bytes before a bitmap's pixels: header, masks, colours (MS-WMF 2.2.2.9). Raises struct.error."""
    (size,) = struct.unpack_from("<I", dib)
    if size not in _HEADER_SIZES:
        raise struct.error("a bitmap has an unknown header")
    if size == 12:
        (bits,) = struct.unpack_from("<H", dib, 10)
        return int(size + (3 << bits if bits <= 8 else 0))
    bits, compression = struct.unpack_from("<HI", dib, 14)
    (used,) = struct.unpack_from("<I", dib, 32)
    if bits <= 8:
        used = min(used, 256) or 1 << bits
    masks = 12 if compression == 3 and size == 40 else 0
    return int(size + masks + 4 * min(used, 256))
