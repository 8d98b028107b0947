"""Where each setting of this process came from, and its value as people may see it: never a secret."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import SecretStr

from runtime.settings import Settings

HIDDEN = "..."


class Origin(str, Enum):
    DEFAULT = "default"
    ENVIRONMENT = "environment"
    ENV_FILE = ".env"
    # Given by whoever started the process, in code.
    PROCESS = "process"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """`value` is text as one would write it in the environment; of a secret only whether it is set."""

    name: str
    value: str
    origin: Origin
    is_secret: bool
    description: str


def shown_settings(settings: Settings, *, environment: Mapping[str, str] | None = None) -> Sequence[ShownSetting]:
    """Every setting, in the order of docs/settings.md."""
    given = os.environ if environment is None else environment
    in_environment = {name.lower() for name in given}
    in_file = {name.lower() for name in _in_file(settings)}
    shown = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name not in settings.model_fields_set:
            origin = Origin.DEFAULT
        elif name in in_environment:
            origin = Origin.ENVIRONMENT
        else:
            origin = Origin.ENV_FILE if name in in_file else Origin.PROCESS
        is_secret = isinstance(value, SecretStr)
        shown.append(ShownSetting(name.upper(), shown_value(value), origin, is_secret, field.description or ""))
    return shown


def shown_value(value: object) -> str:
    """Addresses lose the password they may carry."""
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _without_password(str(value))


def _without_password(text: str) -> str:
    if "://" not in text or "@" not in text:
        return text
    parts = urlsplit(text)
    user, _, address = parts.netloc.rpartition("@")
    if ":" not in user:
        return text
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{HIDDEN}@{address}"))


def _in_file(settings: Settings) -> Mapping[str, str | None]:
    path = settings.model_config.get("env_file")
    return dotenv_values(path) if isinstance(path, str) and os.path.exists(path) else {}
