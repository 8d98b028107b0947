"""Whom a user wants told: targets, quiet hours, devices."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.common import Answer, Instant, StrictBody, TimeOfDay
from storage.models import DevicePlatform, DeviceToken, NotificationTarget

_QUIET = "Indian time; messages about exits come all the same. Set both ends or neither"


class _Quiet(StrictBody):
    quiet_from: TimeOfDay | None = Field(None, description=_QUIET, examples=["22:00:00"])
    quiet_to: TimeOfDay | None = Field(None, description="May be earlier than quiet_from: over midnight", examples=["07:30:00"])

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.quiet_from is None) is not (self.quiet_to is None) or len(
            {"quiet_from", "quiet_to"} & self.model_fields_set
        ) == 1:
            raise PydanticCustomError("INVALID_VALUE", "quiet_from and quiet_to go together")
        return self


class NewTarget(_Quiet):
    """`address` is an apprise address: `tgram://`, `slack://`, `discord://`, `pover://`, `pbul://`; others where the operator has
    allowed their host. It is kept sealed and never shown again."""

    address: SecretStr = Field(min_length=5, max_length=1_000, examples=["tgram://123456789:ABCdef/987654321"])
    label: str = Field("", max_length=100, examples=["My phone"])


class ChangeTarget(_Quiet):
    """What is left out stays as it is; null for both ends takes the quiet hours away."""

    label: str | None = Field(None, max_length=100, examples=["My phone"])

    def change(self, row: NotificationTarget | DeviceToken) -> None:
        if self.label is not None:
            row.label = self.label
        if "quiet_from" in self.model_fields_set:
            row.quiet_from, row.quiet_to = self.quiet_from, self.quiet_to


class TargetAnswer(Answer):
    target_id: str
    kind: str = Field(description="The address's scheme; the address itself is never shown", examples=["tgram"])
    label: str
    quiet_from: TimeOfDay | None
    quiet_to: TimeOfDay | None
    told_at: Instant | None = Field(description="When the last message left for it")
    told_well: bool | None = Field(description="Whether that one was taken")
    created_at: Instant


class Targets(Answer):
    items: Sequence[TargetAnswer]


class TestAnswer(Answer):
    target_id: str
    delivered: bool = Field(description="Whether the service took the message; false: check the address")


class NewDevice(StrictBody):
    """Registered again, the same token keeps its id; registered by another user, it is theirs."""

    platform: DevicePlatform
    token: SecretStr = Field(
        min_length=8,
        max_length=4_000,
        description="As the platform's push service gave it to the app",
        examples=["fMEP0vJqS0:APA91bH..."],
    )
    label: str = Field("", max_length=100, examples=["Pixel 9"])


class DeviceAnswer(Answer):
    device_id: str
    platform: DevicePlatform
    label: str
    quiet_from: TimeOfDay | None
    quiet_to: TimeOfDay | None
    told_at: Instant | None = Field(description="When the last message left for it")
    told_well: bool | None = Field(description="Whether that one was taken")
    created_at: Instant


class DeviceTested(Answer):
    device_id: str
    delivered: bool = Field(description="Whether the push service took it; a device that is gone disappears from the list")


class Devices(Answer):
    items: Sequence[DeviceAnswer]
