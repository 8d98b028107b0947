"""Configuration: what the settings are and where they come from, and what an Admin may switch."""

from collections.abc import Sequence

from pydantic import Field

from api.schemas.common import Answer, Instant, StrictBody, YesNo
from runtime.setting_origins import Origin
from storage.repositories.switches import Flag
from trading.accounts import BrokerName


class SettingAnswer(Answer):
    name: str = Field(examples=["LEASE_SECONDS"])
    value: str = Field(description="As in the environment; of a secret only `set` or `not set`")
    origin: Origin
    is_secret: bool
    description: str


class SwitchAnswer(Answer):
    is_on: bool
    reason: str
    changed_at: Instant | None = Field(description="Null: nobody has touched it")
    changed_by: str | None
    origin: Origin


class BrokerSwitch(SwitchAnswer):
    broker: BrokerName
    is_supported: bool = Field(description="This installation has an adapter for it")


class FlagSwitch(SwitchAnswer):
    name: Flag
    description: str


class Configuration(Answer):
    """Settings of the API process that answers; the switches hold everywhere."""

    settings: Sequence[SettingAnswer]
    maintenance: SwitchAnswer
    brokers: Sequence[BrokerSwitch]
    flags: Sequence[FlagSwitch]


class SetSwitch(StrictBody):
    on: YesNo
    reason: str = Field("", max_length=500, description="Shown to those whose start is refused")
