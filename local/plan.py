"""What one `up` will run and where: the user's settings first, the embedded stack's decisions for the rest."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from local.dialects import url_settings
from local.errors import StackError
from local.parts.postgres import database_url
from local.parts.redis import redis_url
from local.ports import LOOPBACK
from local.secrets import ensure_secrets
from local.settings import LocalSettings
from local.sockets import socket_folder
from runtime.settings import Settings

ROOT = Path(__file__).parents[1]
# What `up --without` accepts.
OPTIONAL_PARTS = ("simulator", "demo", "worker", "listener", "api", "temporal-ui")
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::", "localhost"})
_Model = TypeVar("_Model", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class Plan:
    state: Path
    sockets: Path
    without: frozenset[str]
    settings: Settings
    local: LocalSettings
    # Names of the settings the user has given, in the environment or in .env.
    given: frozenset[str]
    # What our own processes get.
    environment: Mapping[str, str]

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def embeds_postgres(self) -> bool:
        return "database_url" not in self.given

    @property
    def embeds_redis(self) -> bool:
        return "redis_url" not in self.given

    @property
    def embeds_temporal(self) -> bool:
        return "temporal_address" not in self.given

    @property
    def api_url(self) -> str:
        host = self.settings.api_host
        return f"http://{LOOPBACK if host in _ALL_ADDRESSES else host}:{self.settings.api_port}"

    @property
    def simulator_control_url(self) -> str:
        return f"http://{LOOPBACK}:{self.local.simulator_control_port}"

    def runs(self, name: str) -> bool:
        return name not in self.without


def make_plan(state: Path, *, without: frozenset[str] = frozenset()) -> Plan:
    """Reads the environment and .env, makes missing keys. Raises StackError for a setting that cannot be."""
    unknown = without - set(OPTIONAL_PARTS)
    if unknown:
        raise StackError(f"there is no part called {', '.join(sorted(unknown))}; --without takes {', '.join(OPTIONAL_PARTS)}")
    settings, local = _checked(Settings), _checked(LocalSettings)
    given = _given(settings)
    sockets = socket_folder(state)
    decided = _decide(sockets, local, api_port=settings.api_port, simulator="simulator" not in without)
    # Pointed at the simulator together or not at all: whoever names one broker's servers means real ones, or their own.
    brokers = url_settings(local)
    if given & brokers.keys():
        decided = {name: value for name, value in decided.items() if name not in brokers}
    decided = {name: value for name, value in decided.items() if name not in given}
    secrets = ensure_secrets(state / "secrets.env", given={name.upper() for name in given})
    return Plan(
        state=state,
        sockets=sockets,
        without=without,
        settings=settings.model_copy(update=decided),
        local=local,
        given=given,
        environment={**os.environ, **{name.upper(): value for name, value in decided.items()}, **secrets},
    )


def _decide(sockets: Path, local: LocalSettings, *, api_port: int, simulator: bool) -> dict[str, str]:
    decided = {
        "database_url": database_url(sockets),
        "redis_url": redis_url(sockets),
        "temporal_address": f"{LOOPBACK}:{local.temporal_port}",
        "temporal_ui_url": f"http://{LOOPBACK}:{local.temporal_ui_port}",
        "public_url": f"http://{LOOPBACK}:{api_port}",
    }
    if simulator:
        decided |= url_settings(local)
    return decided


def _given(settings: Settings) -> frozenset[str]:
    """Set by the user. An empty value, as a copied .env.example has many, is not."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return frozenset(name for name, value in values.items() if str(_plain(value)))


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _checked(make: Callable[[], _Model]) -> _Model:
    try:
        return make()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise StackError(f"the setting {name} cannot be used: {first['msg']}") from error
