"""Writes docs/settings.md from the code that reads the settings: `python -m docs.generate_settings`, `--check` only compares."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer.core
import typer.main
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from local.settings import LocalSettings
from runtime import settings as runtime_settings
from runtime.settings import Settings
from simulator.__main__ import app as simulator

TARGET = Path(__file__).with_name("settings.md")

# Read in other places: by a shell script, by docker-compose.yml, or by a command of its own. Name, default, meaning.
OTHERS = (
    ("LOCAL_STATE", "`.local`", "Folder of everything the embedded stack keeps (`python -m local ... --state`)"),
    ("XDG_CACHE_HOME", "`~/.cache`", "Where `algo-trading/` lies: environments, and Temporal's programs"),
    ("PYTHON", "", "The Python with which `make setup` makes the environment"),
    ("ADMIN_PASSWORD", "", "Password for `python -m api.admin_cli create-admin`; asked for when empty"),
    ("POSTGRES_PASSWORD", "", "Containers: password of the platform's database"),
    ("TEMPORAL_POSTGRES_PASSWORD", "", "Containers: password of Temporal's database"),
    ("SITE_ADDRESS", "`:80`", "Containers: name of the proxy's site; a domain name gives HTTPS"),
    ("HTTPS_PORT", "`8443`", "Containers: port on loopback of the proxy's HTTPS"),
)

INTRODUCTION = """# Settings

Made by `python -m docs.generate_settings` from the code that reads them; a test keeps both in step. Do not edit by hand.

Settings are environment variables, or lines `NAME=value` of a file `.env` in the current folder; the environment wins. An empty
value counts as not given for the embedded stack, which then decides itself: with `make run` you need none of them. A value that
cannot be used stops the process with a sentence that names it.

The settings that say where the broker is decide whether accounts are live: see
[simulated and live](../README.md#simulated-and-live).
"""


def page() -> str:
    sections = [INTRODUCTION, "## Processes\n\n`api`, `worker`, `listener` and `python -m api.admin_cli` read these.\n"]
    for title, names in _groups(Path(runtime_settings.__file__), Settings):
        sections.append(f"### {title}\n\n{_table(_rows(Settings, names))}")
    sections.append("## The embedded stack\n\n`python -m local` and the `make` targets read these, beside those above.\n")
    sections.append(_table(_rows(LocalSettings, list(LocalSettings.model_fields))))
    sections.append("## The simulator\n\n`python -m simulator` reads these; each is also an option.\n")
    sections.append(_table(_simulator_rows()))
    sections.append("## Elsewhere\n")
    sections.append(_table(OTHERS))
    return "\n".join(sections)


def _groups(path: Path, model: type[BaseSettings]) -> Iterator[tuple[str, list[str]]]:
    """The fields under the heading comments of the class, in the order of the source."""
    groups: dict[str, list[str]] = {}
    title = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"    # (\w[\w ]*)", line):
            title = heading[1]
        elif (field := re.match(r"    (\w+): ", line)) and field[1] in model.model_fields:
            groups.setdefault(title, []).append(field[1])
    yield from groups.items()


def _rows(model: type[BaseSettings], names: list[str]) -> Iterator[tuple[str, str, str]]:
    for name in names:
        field = model.model_fields[name]
        yield name.upper(), _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if str(value) else ""


def _simulator_rows() -> Iterator[tuple[str, str, str]]:
    for option in typer.main.get_command(simulator).params:
        if isinstance(option, typer.core.TyperOption) and isinstance(option.envvar, str):
            value = getattr(option.default, "value", option.default)
            shown = "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"
            yield option.envvar, shown, option.help or ""


def _table(rows: Iterator[tuple[str, str, str]] | tuple[tuple[str, str, str], ...]) -> str:
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {meaning.replace('<', '&lt;')} |" for name, default, meaning in rows]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return 0 if TARGET.read_text(encoding="utf-8") == page() else 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
