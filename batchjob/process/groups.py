"""A group of a document's pages: what is read in one go, cached, and put together to an extraction."""

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from batchjob.errors import CONTENT_DETERMINED, FailureCategory
from batchjob.records import Failure, PageMethod, PageText

PAGES_PER_GROUP = 16
"""While one group is recognised the next one is parsed, and its first pages may be recognised before the last of
the one before: so many twice is what a killed shard may lose of a document. Each group is an entry of the cache."""
_FORMAT = 1


class GroupCache(Protocol):
    """Keeps one document's groups, each under the number of its first page (from 1)."""

    def load(self, first_page: int) -> bytes | None: ...

    def save(self, first_page: int, data: bytes) -> None: ...


class NoCache:
    """Keeps nothing; for one-off extraction."""

    def load(self, first_page: int) -> bytes | None:
        return None

    def save(self, first_page: int, data: bytes) -> None:
        return None


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What is known of a whole document; `page_count` is the real one, whatever the limits."""

    mime_type: str
    page_count: int
    title: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class PageGroup:
    """The pages of a group. Only the group of page 1 has a thumbnail; `failure` is the document's own.

    `whole`: no limit and no fault took anything away, so that the same bytes always give this.
    `second_reader`: the version of poppler, where it was asked.
    """

    facts: DocumentFacts
    pages: tuple[PageText, ...] = ()
    failure: Failure | None = None
    thumbnail: bytes | None = None
    whole: bool = True
    second_reader: str | None = None

    @property
    def shareable(self) -> bool:
        """Whether other runs may use it (invariant 12)."""
        failures = [self.failure, *(page.error for page in self.pages)]
        return self.whole and all(
            failure is None or failure.category in CONTENT_DETERMINED for failure in failures
        )

    def to_json(self) -> bytes:
        thumbnail = self.thumbnail and base64.b64encode(self.thumbnail).decode()
        return json.dumps(
            {
                "format": _FORMAT,
                "facts": asdict(self.facts),
                "failure": self.failure and asdict(self.failure),
                "thumbnail": thumbnail,
                "second_reader": self.second_reader,
                "pages": [asdict(page) for page in self.pages],
            },
            ensure_ascii=False,
        ).encode()


def group_from_json(data: bytes) -> PageGroup | None:
    """The group, or None where the data is damaged or of another format: a bad entry is a miss."""
    try:
        values = json.loads(data)
        if values["format"] != _FORMAT:
            return None
        thumbnail = values["thumbnail"]
        return PageGroup(
            facts=DocumentFacts(**values["facts"]),
            pages=tuple(_page(page) for page in values["pages"]),
            failure=failure_from(values["failure"]),
            thumbnail=base64.b64decode(thumbnail, validate=True) if thumbnail else None,
            second_reader=values["second_reader"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def _page(values: dict[str, Any]) -> PageText:
    return PageText(
        **{**values, "method": PageMethod(values["method"]), "error": failure_from(values["error"])}
    )


def failure_from(values: dict[str, Any] | None) -> Failure | None:
    return Failure(FailureCategory(values["category"]), values["message"]) if values else None
