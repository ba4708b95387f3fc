"""The device context of a drawing: its font, and how its own coordinates become those of the page."""

import math
from dataclasses import dataclass, field

from batchjob.extract.xdw.runs import Spot

World = tuple[float, float, float, float, float, float]
"""m11, m12, m21, m22, dx, dy (MS-EMF 2.2.28)."""
PIXELS, _ISOTROPIC = 1, 7
UNITS = {2: 1 / 254, 3: 1 / 2540, 4: 1 / 100, 5: 1 / 1000, 6: 1 / 1440}
"""Mapping modes by the inches of their unit (MS-EMF 2.1.21)."""


@dataclass(frozen=True, slots=True)
class Font:
    """`escapement`: tenths of degrees counterclockwise."""

    height: int = 0
    charset: int | None = None
    escapement: int = 0
    face: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """A device context. `mode`: the mapping mode; `world`: m11, m12, m21, m22, dx, dy."""

    font: Font = field(default_factory=Font)
    mode: int = 0
    window: tuple[int, int] = (0, 0)
    window_size: tuple[float, float] = (1, 1)
    viewport: tuple[int, int] = (0, 0)
    viewport_size: tuple[float, float] = (1, 1)
    world: World = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    align: int = 0
    position: tuple[int, int] = (0, 0)

    def scales(self) -> tuple[float, float]:
        """Device units of a page unit, across and down."""
        across = self.viewport_size[0] / self.window_size[0] if self.window_size[0] else 1.0
        down = self.viewport_size[1] / self.window_size[1] if self.window_size[1] else 1.0
        if self.mode == _ISOTROPIC:
            least = min(abs(across), abs(down))
            return math.copysign(least, across), math.copysign(least, down)
        return across, down

    def device(self, x: float, y: float) -> tuple[float, float]:
        m11, m12, m21, m22, dx, dy = self.world
        x, y = x * m11 + y * m21 + dx, x * m12 + y * m22 + dy
        across, down = self.scales()
        return (
            (x - self.window[0]) * across + self.viewport[0],
            (y - self.window[1]) * down + self.viewport[1],
        )

    @property
    def is_fixed(self) -> bool:
        """Whether the mapping mode leaves nothing to sizes (MS-EMF 2.3.11.20 and .30)."""
        return self.mode in UNITS or self.mode == PIXELS

    def spot(self, x: float, y: float, width: float | None) -> Spot:
        """Where text lies that is drawn at a place of the drawing's own; only the world turns letters."""
        across, down = self.scales()
        m11, m12, m21, m22, _, _ = self.world
        along, upright = math.hypot(m11 * across, m12 * down), math.hypot(m21 * across, m22 * down)
        angle = math.degrees(math.atan2(m12 * down, m11 * abs(across))) - self.font.escapement / 10
        is_turned = round(self.font.escapement / 900) % 2 == 1
        size, length = (along, upright) if is_turned else (upright, along)
        reach = None if width is None else width * length
        return Spot(*self.device(x, y), self.font.height * size, reach, angle, self.align)


def then(
    first: World,
    second: World,
) -> World:
    """The first transformation, then the second."""
    a, b, c, d, e, f = first
    g, h, i, j, k, l = second  # noqa: E741 - one letter for each place of the matrix
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + l,
    )
