"""What lies on a PDF page and where, down through its forms; for the measures of a page and for its own image."""

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

INVISIBLE = 3  # ISO 32000-1, table 106: text rendering mode "neither fill nor stroke"
_MAX_DEPTH = 8


class Matrix(NamedTuple):
    """ISO 32000-1, 8.3.4."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def then(self, outer: "Matrix") -> "Matrix":
        """The inner transformation first."""
        return Matrix(
            self.a * outer.a + self.b * outer.c,
            self.a * outer.b + self.b * outer.d,
            self.c * outer.a + self.d * outer.c,
            self.c * outer.b + self.d * outer.d,
            self.e * outer.a + self.f * outer.c + outer.e,
            self.e * outer.b + self.f * outer.d + outer.f,
        )

    def apply(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    def inverse(self) -> "Matrix":
        """Raises ZeroDivisionError where the plane is folded flat."""
        det = self.a * self.d - self.b * self.c
        return Matrix(
            self.d / det,
            -self.b / det,
            -self.c / det,
            self.a / det,
            (self.c * self.f - self.d * self.e) / det,
            (self.b * self.e - self.a * self.f) / det,
        )


IDENTITY = Matrix(1, 0, 0, 1, 0, 0)


def page_objects(page: pdfium.PdfPage) -> Iterator[tuple[Any, int, Matrix]]:
    """Every object with its type and the matrix of the forms around it; PDFium's raw calls are quicker."""
    yield from _objects_in(page.raw, c.FPDFPage_CountObjects, c.FPDFPage_GetObject, IDENTITY, 0)


def _objects_in(
    parent: Any, count: Any, get: Any, matrix: Matrix, depth: int
) -> Iterator[tuple[Any, int, Matrix]]:
    get_type = c.FPDFPageObj_GetType
    for index in range(count(parent)):
        raw = get(parent, index)
        kind = get_type(raw)
        yield raw, kind, matrix
        if kind == c.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
            inner = matrix_of(raw).then(matrix)
            yield from _objects_in(raw, c.FPDFFormObj_CountObjects, c.FPDFFormObj_GetObject, inner, depth + 1)


def matrix_of(raw: Any) -> Matrix:
    values = c.FS_MATRIX()
    c.FPDFPageObj_GetMatrix(raw, values)
    return Matrix(values.a, values.b, values.c, values.d, values.e, values.f)


def bounds(raw: Any, matrix: Matrix) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of an object inside forms of that matrix."""
    l, b, r, t = (ctypes.c_float() for _ in range(4))  # noqa: E741 - as PDF names them
    if not c.FPDFPageObj_GetBounds(raw, l, b, r, t):
        return 0.0, 0.0, 0.0, 0.0
    corners = [matrix.apply(x, y) for x in (l.value, r.value) for y in (b.value, t.value)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def annotation_types(page: pdfium.PdfPage) -> Iterator[int]:
    for index in range(c.FPDFPage_GetAnnotCount(page)):
        annotation = c.FPDFPage_GetAnnot(page, index)
        if annotation:
            yield c.FPDFAnnot_GetSubtype(annotation)
            c.FPDFPage_CloseAnnot(annotation)
