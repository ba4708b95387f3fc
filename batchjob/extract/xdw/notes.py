"""Text that stands beside a page's content: annotations, page forms, names and properties."""

from collections.abc import Iterator

from batchjob.extract.xdw.charsets import USUAL_CODE_PAGE, decode_stored
from batchjob.extract.xdw.tree import Kind, Node, resolve

_WIDE = "(w"
_NOTE_TEXT = "%Text"
_TEXT_NAMES = frozenset(
    {
        _NOTE_TEXT,
        "%Caption",
        "%Tooltip",
        "%Url",
        "%MailAddress",
        "%XdwPath",
        "%XdwNameInXbd",
        "%OtherFilePath",
        "%TopField",
        "%BottomField",
        "%YearField",
        "%MonthField",
        "%DayField",
        "STAMPATT_POST",
        "STAMPATT_NAME",
    }
)
"""Attributes of annotations that a person reads."""
_FORM_PARTS = frozenset({"%107", "%207", "%507"})
"""Header, footer and page number; 3 and 4 are pictures."""
_NAME, _WIDE_NAME = 4, 70
_CODE_PAGE = "%CCP_"
_WIDE_SINCE = 10


def stored_texts(node: Node) -> dict[str, str]:
    """The named texts of an object; the wide form of one, unless it is empty, goes before the other.

    Raises XdwError.
    """
    pages = _code_pages(node)
    found: dict[str, str] = {}
    wide: dict[str, str] = {}
    for name, data in node.texts():
        if name.endswith(_WIDE):
            wide[name.removesuffix(_WIDE)] = decode_stored(data, wide=True)
        else:
            found[name] = decode_stored(data, wide=False, code_page=pages.get(name, USUAL_CODE_PAGE))
    for name, text in wide.items():
        found[name] = text or found.get(name, "")
    return found


def _code_pages(node: Node) -> dict[str, int]:
    """The code pages that an object states of its texts, by their names. Raises XdwError."""
    stated = (item for item in node.definitions if item.name.startswith(_CODE_PAGE))
    return {item.name.removeprefix(_CODE_PAGE): page for item in stated for page in node.numbers(item.tag)}


def annotation_text(node: Node) -> str:
    """What an annotation says; empty where it has no text of its own. Raises XdwError."""
    found = stored_texts(node)
    return "\n".join(text for name, text in found.items() if name in _TEXT_NAMES and text.strip("\0 "))


def has_text(node: Node) -> bool:
    """Whether a text note has its text, be it empty. Raises XdwError."""
    return any(node.named(name) is not None for name in (_NOTE_TEXT, _NOTE_TEXT + _WIDE))


def form_texts(document: Node) -> Iterator[str]:
    """Header, footer and page number of a document, once, not on each page."""
    for forms in document.children:
        if forms.kind != Kind.FORMS:
            continue
        for node in forms.walk():
            found = stored_texts(node)
            yield from (text for name, text in found.items() if name in _FORM_PARTS and text.strip())


def name_of(node: Node) -> str | None:
    """The name of a document in its binder, or of a binder; None where there is none."""
    wide, plain = node.attribute(_WIDE_NAME), node.attribute(_NAME)
    name = ""
    if wide is not None:
        name = decode_stored(resolve(node.container, wide), wide=True)
    elif plain is not None:
        data = resolve(node.container, plain)
        name = decode_stored(
            data, wide=node.kind == Kind.BINDER and _is_wide(data, node.container.generation)
        )
    return name.strip() or None


def _is_wide(data: bytes, generation: int) -> bool:
    """Binders' names are UTF-16 from generation 10 on; what older ones have is not known, so the bytes decide."""
    return generation >= _WIDE_SINCE or b"\0" in data.rstrip(b"\0")


def properties_of(node: Node) -> dict[str, str]:
    """Named texts of a document or its list of pages: title, author, keywords, what users add. Raises XdwError."""
    return {
        name.removeprefix("%"): text
        for name, text in stored_texts(node).items()
        if text.strip() and not name.startswith(_CODE_PAGE) and _is_readable(text)
    }


def _is_readable(text: str) -> bool:
    return "\ufffd" not in text and not any(
        character < " " and character not in "\t\r\n" for character in text
    )
