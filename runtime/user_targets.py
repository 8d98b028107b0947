"""Which addresses a user may name, and how one is opened.

An address makes this server send requests. So a user may name services whose host is part of their protocol, and nothing that
steers the request beyond whom it is for; a host of the user's own choice, which could be this machine, its network or a cloud's
metadata, only where the operator has listed that host (`NOTIFICATION_HOSTS`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.crypto import binding
from runtime.messenger import Target, host_of, open_one
from storage.models import DeviceToken, NotificationTarget
from trading.ports.sealing import Sealer

# The host is the service's own, whatever the address says.
OWN_HOST = frozenset({"tgram", "slack", "discord", "pover", "pbul"})
# The address names the host.
NAMED_HOST = frozenset({"json", "jsons", "ntfy", "ntfys", "gotify", "gotifys", "mailto", "mailtos"})
LONGEST = 1_000


class TargetNotAllowed(ValueError):
    """The message never repeats the address."""


def check_address(address: str, *, hosts: Collection[str]) -> str:
    """The kind of a permitted address. Raises TargetNotAllowed."""
    kind = address.partition("://")[0].lower()
    if kind not in OWN_HOST | NAMED_HOST or len(address) > LONGEST or not address.isprintable() or " " in address:
        raise TargetNotAllowed(f"allowed are addresses that begin with {', '.join(f'{one}://' for one in sorted(OWN_HOST))}")
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
    except ValueError as error:
        raise TargetNotAllowed("the address cannot be read") from error
    # Parameters can name other servers, files to attach, or switch the checking of certificates off.
    if parts.query or "?" in address or "\\" in address:
        raise TargetNotAllowed("an address must not have parameters")
    # Two readers of an address may find two hosts in it: both must be allowed.
    allowed = {one.lower() for one in hosts}
    if kind in NAMED_HOST and "#" in address:
        raise TargetNotAllowed("an address must not have a fragment")
    if kind in NAMED_HOST and not {host, host_of(address) or host} <= allowed:
        raise TargetNotAllowed("the operator of this installation has not allowed that host (NOTIFICATION_HOSTS)")
    if open_one(address, name=kind) is None:
        raise TargetNotAllowed("the address is not complete, or not in the form its service wants")
    return kind


@dataclass(frozen=True, slots=True)
class UserTargets:
    """Seals addresses into rows and opens them again. What the operator allows is asked each time."""

    sealer: Sealer
    hosts: Collection[str]

    def seal(self, target: NotificationTarget, address: str) -> None:
        """Raises TargetNotAllowed."""
        target.kind = check_address(address, hosts=self.hosts)
        target.sealed_address = self.sealer.seal(address, bound_to=_bound(target))

    def open(self, target: NotificationTarget) -> Target:
        """Raises SealBroken, TargetNotAllowed."""
        address = self.sealer.open(target.sealed_address, bound_to=_bound(target))
        check_address(address, hosts=self.hosts)
        opened = open_one(address, name=target.id)
        if opened is None:
            raise TargetNotAllowed("the address is not understood any more")
        return opened

    def seal_anew(self, target: NotificationTarget) -> None:
        """With the newest key, whatever is allowed today. Raises SealBroken."""
        address = self.sealer.open(target.sealed_address, bound_to=_bound(target))
        target.sealed_address = self.sealer.seal(address, bound_to=_bound(target))


def open_device(sealer: Sealer, device: DeviceToken) -> str:
    """Its push token. Raises SealBroken."""
    return sealer.open(device.sealed_token, bound_to=device_binding(device.user_id, device.id))


def seal_device_anew(sealer: Sealer, device: DeviceToken) -> None:
    """With the newest key. Raises SealBroken."""
    device.sealed_token = sealer.seal(open_device(sealer, device), bound_to=device_binding(device.user_id, device.id))


def device_binding(user_id: str, device_id: str) -> str:
    return binding(user_id, f"{device_id}/token")


def _bound(target: NotificationTarget) -> str:
    return binding(target.user_id, f"{target.id}/address")
