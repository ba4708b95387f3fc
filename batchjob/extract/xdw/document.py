"""An open DocuWorks file: its pages in order over all documents of a binder, then those of attached files."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.xdw.attachments import Attached
from batchjob.extract.xdw.body import parse_body
from batchjob.extract.xdw.container import Budget, Container, Root
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
    """Raises XdwError while it is opened. `root` is None where only entries could be read.

    `without_pages`: names of a binder's documents that hold none, where no page tells of them.
    """

    def __init__(self, data: Buffer, max_pixels: int, budget: Budget) -> None:
        self.container = Container(data, budget)
        self.is_binder = self.container.root is Root.BINDER
        self.max_pixels = max_pixels
        self.title: str | None = None
        self.author: str | None = None
        self.without_pages: list[str] = []
        self.root = None if self.container.salvaged else read_tree(self.container)
        own = list(self._own_pages(self.root) if self.root else self._salvaged_pages())
        if self.container.loss and own:
            own[0].losses.append(Loss(FailureCategory.CORRUPT, self.container.loss))
        if own:
            own[0].losses += self.container.take_losses()
        self.pages: list[Page | AttachedPage] = [*own]

    def _own_pages(self, root: Node) -> Iterator[Page]:
        waiting: list[Node] = [root] if self.is_binder else []
        first: Page | None = None
        for document in _documents(root):
            pages = [Page(node) for node in document.walk() if node.kind == Kind.PAGE]
            waiting.append(document)
            if not pages:
                self._miss(document)
                continue
            first = pages[0]
            self._tell(waiting, first)
            waiting = []
            yield from pages
        if first is not None:
            self._tell(waiting, first)

    def _miss(self, document: Node) -> None:
        try:
            name = name_of(document) if self.is_binder else None
        except XdwError:
            name = None
        self.without_pages.append(name or f"number {len(self.without_pages) + 1} of those")

    def _tell(self, nodes: list[Node], page: Page) -> None:
        """Puts what is said of the binder and of whole documents on a page, and which ones have none."""
        for node in nodes:
            for describe in (self._name, self._forms, self._properties):
                try:
                    describe(node, page)
                except XdwError as error:
                    page.losses.append(Loss(error.category, error.message))
        names, self.without_pages = self.without_pages, []
        for name in names:
            message = f"the binder's document {name!r} holds no pages"
            page.losses.append(Loss(FailureCategory.EMPTY, message))

    def _name(self, node: Node, page: Page) -> None:
        name = name_of(node) if self.is_binder else None
        if node.kind == Kind.BINDER:
            self.title = self.title or name
        elif name:
            page.head.append(name)

    def _forms(self, node: Node, page: Page) -> None:
        page.tail += form_texts(node)

    def _properties(self, node: Node, page: Page) -> None:
        said: dict[str, str] = {}
        for holder in (node, *(child for child in node.children if child.kind == Kind.PAGES)):
            for name, text in properties_of(holder).items():
                if said.setdefault(name, text) is text:
                    page.tail.append(text)
        self.title = self.title or said.get("Title")
        self.author = self.author or said.get("Author")

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
