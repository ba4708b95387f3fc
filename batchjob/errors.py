"""What can go wrong, and what each kind means for the exit code and for Batch's retry rules."""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Exit codes of every command; `job-definitions/process.json` names the ones Batch retries."""

    DONE = 0
    USAGE = 64
    TOO_MANY_FAILED = 65
    DIFFERENT = 66
    INTERNAL = 70
    TRY_AGAIN = 75


class FailureCategory(StrEnum):
    """Why a document has no text: the first six follow from its content, the rest from a limit or a fault."""

    CORRUPT = "corrupt"
    PROTECTED = "protected"
    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    TOO_MANY_PAGES = "too_many_pages"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    GAVE_UP = "gave_up"
    REFUSED = "refused"


CONTENT_DETERMINED = frozenset(
    {
        FailureCategory.CORRUPT,
        FailureCategory.PROTECTED,
        FailureCategory.EMPTY,
        FailureCategory.UNSUPPORTED,
    }
)
"""Failures that the same bytes always give, so that they may be cached (invariant 12)."""


class BatchjobError(Exception):
    """A failure with a message of one or two lines that says what happened and what to do."""

    exit_code = ExitCode.INTERNAL


class PermanentError(BatchjobError):
    """Trying again changes nothing."""

    exit_code = ExitCode.USAGE


class UsageError(PermanentError):
    """Wrong use or configuration."""


class ObjectRefusedError(UsageError):
    """One object can never be read: its key is no key, it lies outside the folder, it is archived."""


class SourceMissingError(UsageError):
    """There is no such bucket; that says nothing about the objects it should hold (invariant 3)."""


class DifferentError(BatchjobError):
    """The index is not what its source is."""

    exit_code = ExitCode.DIFFERENT


class TooManyFailedError(PermanentError):
    """A run passed its limit of rejected or failed documents."""

    exit_code = ExitCode.TOO_MANY_FAILED


class TransientError(BatchjobError):
    """A machine's or a network's failure: the same attempt may succeed later. `cause` groups outages.

    `retry_after`: in so many seconds, where the server said when.
    """

    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, message: str, *, cause: str = "transient", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after = retry_after


class MachineError(TransientError):
    """This machine cannot go on (scratch full, work store gone): the shard stops, no row is blamed."""


class TextRefusedError(PermanentError):
    """An embedder takes this text in no form."""


class BodyTooLargeError(PermanentError):
    """OpenSearch takes no request of this size."""


class FencedError(BatchjobError):
    """Another process took over or finished first; stop and exit 0."""

    exit_code = ExitCode.DONE


class ObjectMissingError(BatchjobError):
    """The store answered NoSuchKey at `observed_at` (ms since 1970, the store's clock)."""

    def __init__(self, key: str, observed_at: int) -> None:
        super().__init__(f"no object {key!r}")
        self.key = key
        self.observed_at = observed_at


class AlreadyExistsError(BatchjobError):
    """A create-once key holds something else already."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} exists already")
        self.key = key


class PreconditionFailedError(BatchjobError):
    """The object changed since its ETag was read."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} changed since it was read")
        self.key = key
