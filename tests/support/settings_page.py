"""Writes docs/settings.md from the settings themselves: `python -m tests.support.settings_page > docs/settings.md`."""

from types import NoneType
from typing import get_args

from pydantic.fields import FieldInfo

from batchjob.settings import PREFIX, Settings

HEAD = """# Settings

Every setting is an environment variable. Options of the commands (`--work`, `--index`, `--opensearch`, …) set the
same for one call. A variable that begins with `BATCHJOB_` and is none of these is refused.

| Variable | Type | Default | Meaning |
|---|---|---|---|
"""


def page() -> str:
    return HEAD + "".join(row(name, field) for name, field in Settings.model_fields.items())


def row(name: str, field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    kind = getattr(kinds[0], "__name__", " or ".join(map(str, kinds)))
    default = "" if field.default is None else f"`{field.default}`"
    meaning = " ".join((field.description or "").split())
    return f"| `{PREFIX}{name.upper()}` | {kind} | {default} | {meaning} |\n"


if __name__ == "__main__":
    print(page(), end="")
