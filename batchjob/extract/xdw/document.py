"""An open DocuWorks file: its pages in order over all documents of a binder, then those of attached files."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchjob.errors import FailureCategory
from batchjob.extract.xdw.attachments import Attached, find_attachments
from batchjob.extract.xdw.body import parse_body
from batchjob.extract.xdw.container import Container, Root
from batchjob.extract.xdw.layers import Loss
from batchjob.extract.xdw.notes import form_texts, name_of, properties_of
from batchjob.extract.xdw.tlv import Buffer, XdwError
from batchjob.extract.xdw.tree import Kind, Node, read_tree

MAX_NESTING = 3
"""DocuWorks files attached to DocuWorks files, one in the other."""


@dataclass(slots=True)
class Page:
    """A page: `node` of the tree, or `entry` where only entries could be read. `head` and `tail` belong to its text."""

    node: Node | None
    entry: int = 0
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


@dataclass(slots=True)
class AttachedPage:
    """A page of an attached file; `number` counts from 1 in it."""

    file: Attached
    number: int


class Document:
    """Raises XdwError while it is opened; `folder` takes what is unpacked of attached files."""

    def __init__(self, data: Buffer, folder: Path, max_pixels: int, nesting: int = 0) -> None:
        self.container = Container(data)
        self.is_binder = self.container.root is Root.BINDER
        self.max_pixels = max_pixels
        self.nesting = nesting
        self.title: str | None = None
        self.author: str | None = None
        self.pages: list[Page | AttachedPage] = list(self._own_pages())
        self.own_pages = len(self.pages)
        if self.container.loss and self.pages:
            first = self.pages[0]
            assert isinstance(first, Page)  # noqa: S101 - attached ones come later
            first.losses.append(Loss(FailureCategory.CORRUPT, self.container.loss))
        self.pages += self._attached_pages(folder)

    def _own_pages(self) -> Iterator[Page]:
        if self.container.salvaged:
            self.root: Node | None = None
            yield from self._salvaged_pages()
            return
        self.root = read_tree(self.container)
        described: list[Node] = [self.root] if self.is_binder else []
        for document in _documents(self.root):
            pages = [Page(node) for node in document.walk() if node.kind == Kind.PAGE]
            if not pages:
                continue
            for node in (document, *described):
                try:
                    self._describe(node, pages[0])
                except XdwError as error:
                    pages[0].losses.append(Loss(error.category, error.message))
            described = []
            yield from pages

    def _describe(self, node: Node, page: Page) -> None:
        """Puts what is said of a whole document, or of the binder, on its first page. Raises XdwError."""
        name = name_of(node) if self.is_binder else None
        if node.kind == Kind.BINDER:
            self.title = self.title or name
        elif name:
            page.head.append(name)
        page.tail += form_texts(node)
        page.tail += self._described(node)

    def _described(self, node: Node) -> Iterator[str]:
        for name, text in properties_of(node).items():
            if name == "Title":
                self.title = self.title or text
            elif name == "Author":
                self.author = self.author or text
            yield text

    def _salvaged_pages(self) -> Iterator[Page]:
        for index in range(self.container.entry_count):
            try:
                parse_body(self.container, self.container.entry(index))
            except XdwError:
                continue
            yield Page(None, index)

    def _attached_pages(self, folder: Path) -> Iterator[AttachedPage]:
        if self.root is None:
            return
        for file in find_attachments(self.root, folder, self.max_pixels, self.nesting):
            for number in range(1, file.page_count + 1):
                yield AttachedPage(file, number)

    def close(self) -> None:
        for page in self.pages:
            if isinstance(page, AttachedPage):
                page.file.close()


def _documents(root: Node) -> list[Node]:
    """The documents of a binder in order, or the document itself."""
    if root.kind == Kind.DOCUMENT:
        return [root]
    return [node for node in root.walk() if node.kind == Kind.DOCUMENT]


def open_file(path: Path) -> Buffer:
    """The file's bytes, read as they are asked for."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
