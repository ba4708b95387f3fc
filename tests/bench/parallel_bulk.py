"""opensearch-py's parallel_bulk over gzip-compressed bodies, as a program: URL ALIAS THREADS FILE…"""

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from opensearchpy import OpenSearch, helpers

CHUNK_BYTES = 8 * 1024 * 1024


def actions(alias: str, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in files:
        with gzip.open(name, "rb") as lines:
            for action, document in zip(lines, lines, strict=True):
                told = json.loads(action)["index"]
                yield {
                    "_index": alias,
                    "_id": told["_id"],
                    "version": told["version"],
                    "version_type": told["version_type"],
                    "_source": json.loads(document),
                }


def main(url: str, alias: str, threads: int, files: Iterable[str]) -> None:
    client = OpenSearch(url, timeout=300, pool_maxsize=threads)
    loaded = helpers.parallel_bulk(
        client,
        actions(alias, files),
        thread_count=threads,
        chunk_size=2500,
        max_chunk_bytes=CHUNK_BYTES,
        require_alias=True,
    )
    for _ in loaded:
        pass
    client.indices.refresh(index=alias)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
