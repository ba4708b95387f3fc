"""What a shard remembers by content: extracted page groups, and which bytes an unchanged object holds."""

import hashlib
from datetime import UTC
from typing import Any, Protocol

import orjson

from batchjob import layout
from batchjob.ports import Get, ObjectMeta, Put, read_or_none

DIGEST_LENGTH = 64


class CacheStore(Get, Put, Protocol):
    """The verbs the cache needs."""


def _seal(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def _load(store: Get, key: str) -> bytes | None:
    """The payload under a key; a missing or damaged entry is a miss."""
    sealed = read_or_none(store, key)
    if sealed is None:
        return None
    digest, payload = sealed[:DIGEST_LENGTH], sealed[DIGEST_LENGTH + 1 :]
    return payload if hashlib.sha256(payload).hexdigest().encode() == digest else None


class ContentCache:
    """Page groups of one content under one fingerprint; a GroupCache for the extraction."""

    def __init__(self, store: CacheStore, fingerprint: str, sha256: str) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._sha256 = sha256

    def load(self, first_page: int) -> bytes | None:
        return _load(self._store, layout.cached_group(self._fingerprint, self._sha256, first_page))

    def save(self, first_page: int, data: bytes) -> None:
        key = layout.cached_group(self._fingerprint, self._sha256, first_page)
        self._store.put(key, _seal(data), content_type="application/json")


def recall_embedding(store: Get, identity: str, text: str) -> dict[str, Any] | None:
    """What was remembered of exactly this text under an embedder's identity."""
    payload = _load(store, layout.cached_embedding(identity, _text_digest(text)))
    return None if payload is None else orjson.loads(payload)


def remember_embedding(store: Put, identity: str, text: str, entry: dict[str, Any]) -> None:
    key = layout.cached_embedding(identity, _text_digest(text))
    store.put(key, _seal(orjson.dumps(entry)), content_type="application/json")


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(meta: ObjectMeta) -> list[str | int]:
    return [meta.etag, meta.size, meta.last_modified.astimezone(UTC).isoformat()]


def recall_content(store: Get, bucket: str, meta: ObjectMeta) -> str | None:
    """The SHA-256 of an object that is still what it was when it was last read, else None."""
    payload = _load(store, layout.pointer(bucket, meta.key))
    if payload is None:
        return None
    entry = orjson.loads(payload)
    return str(entry["sha256"]) if entry["object"] == _identity(meta) else None


def remember_content(store: Put, bucket: str, meta: ObjectMeta, sha256: str) -> None:
    entry = {"object": _identity(meta), "sha256": sha256}
    store.put(layout.pointer(bucket, meta.key), _seal(orjson.dumps(entry)), content_type="application/json")


def last_content(store: Get, bucket: str, key: str) -> str | None:
    """The SHA-256 of an object when it was last read, whatever it is now."""
    payload = _load(store, layout.pointer(bucket, key))
    return str(orjson.loads(payload)["sha256"]) if payload else None
