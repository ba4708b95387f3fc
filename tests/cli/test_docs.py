"""The documentation says what the program does."""

from pathlib import Path

from batchjob.cli.main import COMMANDS
from batchjob.settings import Settings
from tests.support.settings_page import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_that_of_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page()


def test_every_setting_is_explained() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []
