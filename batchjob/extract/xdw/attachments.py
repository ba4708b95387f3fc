"""Files attached to a DocuWorks document: unpacked into scratch files and read like documents of their own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from batchjob.errors import FailureCategory
from batchjob.extract import image, pdf
from batchjob.extract.detect import DOCUWORKS, HEAD, Kind, Loss, NotReadError, detect
from batchjob.extract.xdw.container import Budget
from batchjob.extract.xdw.notes import stored_texts
from batchjob.extract.xdw.tlv import XdwError
from batchjob.extract.xdw.tree import FILE_DATA, Node, reference
from batchjob.extract.xdw.tree import Kind as NodeKind

_MOST_NESTED = 3
_NAME = "nf"
_SIGNS = (b"PK", b"%PDF", b"\xd0\xcf\x11\xe0", b"\xff\xd8\xff", b"\x60\x0e\x82\x01")
Event = dict[str, Any]


class Unpacking(NamedTuple):
    """Where files are unpacked, how deep they lie in each other, and what they may take."""

    folder: Path
    max_pixels: int
    nesting: int
    budget: Budget


class Reader(NamedTuple):
    """What reads attached DocuWorks files: the reader that found them."""

    open: Callable[[Path, Kind, Unpacking], AbstractContextManager[Any]]
    page_count: Callable[[Any], int]
    read_page: Callable[[Any, int, Path, int], Event]


class Attached:
    """An attached file. It has one page at the least, which tells its name, and why it is not read if so.

    `losses`: what is told beside `loss`, on its first page.
    """

    def __init__(self, name: str, unpacking: Unpacking, reader: Reader) -> None:
        self._reader = reader
        self.name = name
        self.loss: NotReadError | None = None
        self.losses: list[Loss] = []
        self.page_count = 1
        self._unpacking = unpacking
        self._open: Any = None
        self._kind: Kind | None = None
        self._stack = ExitStack()

    def take(self, data: bytes, number: int) -> None:
        """Opens what was unpacked; where it cannot be read, `loss` says why."""
        path = self._unpacking.folder / f"attached-{number:03d}"
        try:
            self._kind = detect(data[:HEAD])
            path.write_bytes(data)
            self._open_by_kind(path)
        except NotReadError as error:
            self.loss = error
        if self.page_count < 1:
            self.page_count = 1
            self.loss = NotReadError(FailureCategory.EMPTY, str(self._kind), "it has no pages")

    def _open_by_kind(self, path: Path) -> None:
        assert self._kind is not None  # noqa: S101 - the caller found it
        if self._kind is Kind.PDF:
            self._open = self._stack.enter_context(pdf.open_pdf(path))
            self.page_count = len(self._open)
        elif self._kind in DOCUWORKS:
            nesting = self._unpacking.nesting + 1
            if nesting >= _MOST_NESTED:
                message = f"DocuWorks files are attached to each other more than {_MOST_NESTED} deep"
                raise NotReadError(FailureCategory.UNSUPPORTED, self._kind, message)
            inner = self._reader.open(path, self._kind, self._unpacking._replace(nesting=nesting))
            self._open = self._stack.enter_context(inner)
            self.page_count = self._reader.page_count(self._open)
        else:
            self._open = self._stack.enter_context(
                image.open_image(path, self._kind, self._unpacking.max_pixels)
            )
            self.page_count = image.page_count(path, self._kind)

    def read_page(self, number: int, out: Path, dpi: int) -> Event:
        """The event of one of its pages; an image for OCR goes into `out`."""
        if self._kind is Kind.PDF:
            return pdf.read_page(self._open, number, out, dpi)
        if self._kind in DOCUWORKS:
            return self._reader.read_page(self._open, number, out, dpi)
        return image.read_page(self._open, number, out, dpi, self._unpacking.max_pixels)

    def close(self) -> None:
        self._stack.close()


def find_attachments(root: Node, unpacking: Unpacking, reader: Reader) -> Iterator[Attached]:
    """The files below the lists of original files, in order. What cannot be unpacked tells so as its `loss`."""
    for holder in (node for node in root.walk() if node.kind == NodeKind.ORIGINALS):
        for node in (holder, *holder.walk()):
            if not _holds_file(node):
                continue
            file = Attached(_file_name(node), unpacking, reader)
            try:
                number = unpacking.budget.take_file()
            except XdwError as error:
                file.loss = NotReadError(error.category, "", error.message)
                yield file
                return
            try:
                file.take(_content(node), number)
            except XdwError as error:
                file.loss = NotReadError(error.category, "", error.message)
            file.losses += node.container.take_losses()
            yield file


def _holds_file(node: Node) -> bool:
    """A damaged record is taken for one, so that it is told."""
    try:
        return node.named(FILE_DATA) is not None or node.named(_NAME) is not None
    except XdwError:
        return True


def _file_name(node: Node) -> str:
    """The last part of the stored path."""
    try:
        stored = stored_texts(node).get(_NAME, "")
    except XdwError:
        stored = ""
    return PureWindowsPath(stored.replace("/", "\\")).name.strip() or "a file without a name"


def _content(node: Node) -> bytes:
    """Raises XdwError."""
    value = node.named(FILE_DATA)
    if value is None:
        return b""
    if not value.is_reference:
        return _as_stored(node, value.data)
    said = reference(value.data)
    stored = node.container.entry(said.entry)
    try:
        if said.stored is None and said.length == len(stored):
            return _as_stored(node, stored)
        return node.container.expand(stored[: said.stored], said.length)
    except XdwError as error:
        if stored.startswith(_SIGNS) and error.category is FailureCategory.CORRUPT:
            return _as_stored(node, stored)
        raise


def _as_stored(node: Node, data: bytes) -> bytes:
    node.container.budget.take(len(data))
    return data
