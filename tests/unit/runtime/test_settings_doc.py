"""docs/settings.md is the one table of settings: nothing is missing from it, and nothing in it is invented."""

import re
from pathlib import Path

from docs.generate_settings import TARGET, page
from local.settings import LocalSettings
from runtime.settings import Settings

ROOT = Path(__file__).parents[3]


def documented() -> set[str]:
    return set(re.findall(r"^\| `([A-Z0-9_]+)` \|", TARGET.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_page_is_what_the_code_says_now() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run `python -m docs.generate_settings`"


def test_every_setting_is_in_the_table_and_explained() -> None:
    fields = {**Settings.model_fields, **LocalSettings.model_fields}
    assert {name.upper() for name in fields} - documented() == set()
    assert [name for name, field in fields.items() if not field.description] == []


def test_no_secret_of_this_machine_gets_into_the_table() -> None:
    text = TARGET.read_text(encoding="utf-8")
    for name in ("JWT_KEYS", "AES_MASTER_KEYS"):
        assert re.search(rf"^\| `{name}` \|  \|", text, re.MULTILINE), f"{name} shows a value"


def test_every_name_of_the_example_file_is_documented() -> None:
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named - documented() == set()
