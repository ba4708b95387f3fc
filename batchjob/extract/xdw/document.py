"""An open DocuWorks file: its pages in order over all documents of a binder, then those of attached files."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.xdw.attachments import Attached
from batchjob.extract.xdw.body import parse_body
from batchjob.extract.xdw.container import Container, Root
from batchjob.extract.xdw.notes import form_texts, name_of, properties_of
from batchjob.extract.xdw.tlv import Buffer, XdwError
from batchjob.extract.xdw.tree import Kind, Node, read_tree


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
    """Raises XdwError while it is opened. `root` is None where only entries could be read."""

    def __init__(self, data: Buffer, max_pixels: int) -> None:
        self.container = Container(data)
        self.is_binder = self.container.root is Root.BINDER
        self.max_pixels = max_pixels
        self.title: str | None = None
        self.author: str | None = None
        self.root = None if self.container.salvaged else read_tree(self.container)
        own = list(self._own_pages(self.root) if self.root else self._salvaged_pages())
        if self.container.loss and own:
            own[0].losses.append(Loss(FailureCategory.CORRUPT, self.container.loss))
        self.pages: list[Page | AttachedPage] = [*own]

    def _own_pages(self, root: Node) -> Iterator[Page]:
        described: list[Node] = [root] if self.is_binder else []
        for document in _documents(root):
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

    def attach(self, file: Attached) -> None:
        """Adds the pages of an attached file after those that are there."""
        self.pages += [AttachedPage(file, number) for number in range(1, file.page_count + 1)]

    def close(self) -> None:
        for page in self.pages:
            if isinstance(page, AttachedPage):
                page.file.close()


def _documents(root: Node) -> list[Node]:
    """The documents of a binder in order, or the document itself."""
    if root.kind == Kind.DOCUMENT:
        return [root]
    return [node for node in root.walk() if node.kind == Kind.DOCUMENT]
