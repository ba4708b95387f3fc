"""The documentation says what the program does."""

import re
from pathlib import Path

from batchjob.cli.main import COMMANDS
from batchjob.settings import Settings
from tests.support.settings_page import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_that_of_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page()


def test_links_to_measurements_lead_to_what_the_benchmark_writes() -> None:
    bench = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "bench").glob("*.py"))
    titles = re.findall(r'Section\(\s*"([^"]+)"', bench)
    places = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    links = {
        link for page in pages for link in re.findall(r"benchmarks\.md#([\w-]+)", page.read_text("utf-8"))
    }
    assert links
    assert links <= places


def test_every_setting_is_explained() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []
