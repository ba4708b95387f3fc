"""Clusters that cannot do what they are asked: what OpenSearch says about it, in words that help."""

import re
from collections.abc import Mapping
from typing import Any

from batchjob.errors import BatchjobError, MachineError, PermanentError, UsageError

OLDEST_MAJOR = 2
COMPATIBLE = "7.10.2"
"""What OpenSearch calls itself under `compatibility.override_main_response_version`."""
PLUGINS = {"kuromoji": "analysis-kuromoji", "knn": "opensearch-knn", "icu_normalizer": "analysis-icu"}
"""By a part of what a cluster does not know, the plugin that brings it."""
UNKNOWN = re.compile("(?i)unknown (?:setting|[a-z]+ type)|failed to find|no handler for type")
NO_ROOM = re.compile("this action would add .* shards")
FLOOD_STAGE = "read-only-allow-delete"


def check_version(where: str, told: Mapping[str, Any]) -> str:
    """The version's number. Raises UsageError where it is not OpenSearch 2 or later."""
    number = str(told["number"])
    if told.get("distribution") != "opensearch":
        raise UsageError(
            f"{where} is no OpenSearch but Elasticsearch {number}, or older than both: batchjob needs OpenSearch "
            f"{OLDEST_MAJOR} or later"
        )
    if number == COMPATIBLE:
        raise UsageError(
            f"OpenSearch at {where} calls itself {COMPATIBLE}: switch off compatibility.override_main_response_version"
        )
    if int(number.partition(".")[0]) < OLDEST_MAJOR:
        raise UsageError(f"OpenSearch at {where} is version {number}: batchjob needs {OLDEST_MAJOR} or later")
    return number


def reason_of(info: object, otherwise: str) -> str:
    """What an answer says went wrong, with the type before it."""
    error = info.get("error") if isinstance(info, Mapping) else None
    if isinstance(error, Mapping):
        return f"{error.get('type', '')}: {error.get('reason', '')}"
    return otherwise


def trouble(where: str, status: object, reason: str) -> BatchjobError | None:
    """The error for a cluster that people must mend; None for what is no trouble of that kind."""
    if "cluster_block_exception" in reason:
        return _blocked(where, reason)
    if status == 400 and NO_ROOM.search(reason):
        return UsageError(
            f"OpenSearch at {where} has no room for the shards of another index ({reason}): delete indexes that nobody "
            "needs, add a node, or raise cluster.max_shards_per_node"
        )
    if status == 400 and UNKNOWN.search(reason):
        for part, plugin in PLUGINS.items():
            if part in reason:
                return UsageError(
                    f"OpenSearch at {where} lacks the plugin {plugin} ({reason}): install it on every node"
                )
    if status in (401, 403):
        return PermanentError(
            f"OpenSearch at {where} refuses ({status}): give the user or role the permission; {reason}"
        )
    return None


def _blocked(where: str, reason: str) -> BatchjobError:
    if FLOOD_STAGE in reason:
        return MachineError(
            f"a disk of OpenSearch at {where} is full, so that it takes no writes ({reason}): free or add disk space; "
            "the block is then lifted by OpenSearch itself",
            cause="index_blocked",
        )
    return MachineError(
        f"OpenSearch at {where} takes no writes ({reason}): lift that block", cause="index_blocked"
    )
