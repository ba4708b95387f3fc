"""Which keys count as documents: events of all others are passed over."""

from dataclasses import dataclass

from batchjob.settings import Settings


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """`suffixes` in lower case; keys may have them in any."""

    prefix: str
    suffixes: tuple[str, ...]

    def takes(self, key: str) -> bool:
        return key.startswith(self.prefix) and key.lower().endswith(self.suffixes)


def key_filter(settings: Settings) -> KeyFilter:
    return KeyFilter(settings.prefix, tuple(settings.suffixes.lower().split()))
