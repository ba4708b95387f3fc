"""Every key that batchjob writes, and the hashes that name documents."""

import hashlib
import secrets
from datetime import UTC, datetime


def new_run_id(now_ms: int) -> str:
    """A run id that sorts by time, for example `20261123T031500Z-4f09ab`."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def doc_id(bucket: str, key: str) -> str:
    """The document's id in the index: 40 hex digits, the same for one object for ever."""
    return hashlib.sha256(f"{bucket}\n{key}".encode()).hexdigest()[:40]


LEDGER = "ledger.json"
RUNS = "runs/"
INBOX = "inbox/"
CALIBRATION = "calibration.json"
RETRIES = "inbox/retry-"
REINDEXES = "reindex/"
CACHED = "cache/extract/"
QUARANTINED_ROWS = "quarantine/rows/"
QUARANTINED_MESSAGES = "quarantine/messages/"
DAMAGED_SEGMENTS = "quarantine/segments/"


def reindex(name: str) -> str:
    return f"{REINDEXES}{name}.json"


def listing(name: str) -> str:
    """The prefix of what a listing of a bucket has found so far."""
    return f"listings/{name}/"


def listing_plan(name: str) -> str:
    return f"{listing(name)}plan.json"


def listing_unit(name: str, plan: str, unit: int) -> str:
    return f"{listing(name)}{plan}/{unit:06d}.json"


def listing_progress(name: str, plan: str, unit: int) -> str:
    return f"{listing(name)}{plan}/{unit:06d}-progress.json"


def listing_part(name: str, plan: str, unit: int, writer: str, part: int) -> str:
    return f"{listing(name)}{plan}/{unit:06d}/{writer}-{part:06d}.parquet"


def segment(name: str) -> str:
    return f"{INBOX}{name}.parquet"


def quarantined_messages(name: str) -> str:
    return f"{QUARANTINED_MESSAGES}{name}.ndjson"


def after_run(run_id: str) -> str:
    """Sorts after every key of a run, and before those of the next one."""
    return f"{RUNS}{run_id}0"  # the character after "/"


def run_info(run_id: str) -> str:
    return f"runs/{run_id}/run.json"


def manifest(run_id: str, shard: int) -> str:
    return f"runs/{run_id}/manifest/{shard:05d}.parquet"


def bulk_part(run_id: str, shard: int, writer: str, name: str) -> str:
    return f"runs/{run_id}/bulk/{shard:05d}/{writer}/{name}"


def outcomes(run_id: str, shard: int, writer: str) -> str:
    return f"runs/{run_id}/outcomes/{shard:05d}/{writer}.parquet"


def merged_outcomes(run_id: str) -> str:
    return f"runs/{run_id}/outcomes.parquet"


def receipts(run_id: str) -> str:
    """The prefix of all receipts of a run."""
    return f"runs/{run_id}/receipts/"


def receipt(run_id: str, shard: int) -> str:
    return f"{receipts(run_id)}{shard:05d}.json"


def shard_of_receipt(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))


def checkpoint(run_id: str) -> str:
    return f"runs/{run_id}/reduce/checkpoint.json"


def rejected(run_id: str, shard: int, part: str) -> str:
    return f"runs/{run_id}/rejected/{shard:05d}-{part}.ndjson"


def kept(run_id: str, shard: int, part: str) -> str:
    return f"runs/{run_id}/kept/{shard:05d}-{part}.json"


def submission(run_id: str) -> str:
    return f"runs/{run_id}/submitted.json"


def summary(run_id: str) -> str:
    return f"runs/{run_id}/summary.json"


def quarantined_row(document: str) -> str:
    return f"{QUARANTINED_ROWS}{document}.json"


def damaged_segment(key: str) -> str:
    return f"{DAMAGED_SEGMENTS}{key.removeprefix(INBOX)}"


def retry_segment(run_id: str, shard: int) -> str:
    return segment(f"retry-{run_id}-{shard:05d}")


def run_of_retries(key: str) -> str:
    """The run whose shard a retry segment is of."""
    return key.removeprefix(RETRIES).removesuffix(".parquet")[:-6]


def run_folder(run_id: str) -> str:
    """The prefix of all that belongs to a run."""
    return f"{RUNS}{run_id}/"


def run_started(run_id: str) -> int:
    """When a run was frozen (ms), by its name. Raises ValueError for what is no run's name."""
    return int(datetime.strptime(run_id[:16] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp() * 1000)


def rejections(run_id: str) -> str:
    """The prefix of what OpenSearch refused of a run."""
    return f"runs/{run_id}/rejected/"


def cached_content(fingerprint: str, sha256: str) -> str:
    """The prefix of all groups of pages of one content."""
    return f"{CACHED}{fingerprint}/{sha256[:2]}/{sha256}/"


def cached_group(fingerprint: str, sha256: str, first_page: int) -> str:
    return f"{cached_content(fingerprint, sha256)}{first_page:06d}.json"


def cached_embedding(identity: str, text_sha256: str) -> str:
    """`identity` is that of the embedder; it may hold characters that keys should not."""
    model = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return f"cache/embed/{model}/{text_sha256[:2]}/{text_sha256}.json"


def pointer(bucket: str, key: str) -> str:
    name = doc_id(bucket, key)
    return f"cache/pointers/{name[:2]}/{name}.json"


def thumbnail(document: str, sha256: str) -> str:
    return f"{document}/{sha256[:16]}.jpg"
