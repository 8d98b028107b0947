"""Where messages go: the addresses in ALERT_TARGETS and those of users, through apprise. The only module that knows apprise.

An address is a secret: it holds tokens and passwords. No log line, error or row shows one; a target is known by its kind and a
number made of what its address shows in public. Sending blocks, so each message leaves in a thread that nobody waits for at the
end of the process.
"""

import asyncio
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pydantic import SecretStr

from runtime.alarm_words import Message
from storage.models import Severity

# A target that takes longer has not taken it (seconds).
SEND_SECONDS = 20.0
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")


class Target(Protocol):
    """Somewhere a person looks."""

    @property
    def name(self) -> str: ...

    async def tell(self, message: Message) -> bool:
        """Whether it was taken. Raises nothing for what the network or the target does."""


def open_targets(addresses: SecretStr) -> tuple[Target, ...]:
    """One for each address. Raises ValueError, which names the place of a bad address in the list and not the address."""
    listed = [address for part in _BETWEEN.split(addresses.get_secret_value().strip()) if (address := part.strip(" ,\n\t"))]
    targets: list[_AppriseTarget] = []
    for place, address in enumerate(listed, start=1):
        service = _service_at(address)
        if service is None:
            raise ValueError(f"ALERT_TARGETS: number {place} is not an address that apprise understands")
        targets.append(_AppriseTarget(_name_of(service, address, [target.name for target in targets]), service))
    return tuple(targets)


def open_one(address: str, *, name: str) -> Target | None:
    """The target at one address, called by that name; None for an address that apprise does not understand."""
    service = _service_at(address)
    return None if service is None else _AppriseTarget(name, service)


def host_of(address: str) -> str:
    """The host as apprise itself reads it; empty where an address has none, or is not understood."""
    service = _service_at(address)
    return "" if service is None else str(getattr(service[0], "host", None) or "").lower()


class _AppriseTarget:
    """`service`: an apprise object that holds this one address."""

    def __init__(self, name: str, service: Any) -> None:
        self.name = name
        self._service = service

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    async def tell(self, message: Message) -> bool:
        def send() -> bool:
            kind = _notify_type(message.severity)
            return bool(self._service.notify(body=message.body, title=message.title, notify_type=kind, body_format="text"))

        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await _in_a_thread(send)
        # A hundred plugins by many hands: whatever one of them raises means that nobody was told, and may hold its address.
        except Exception:  # noqa: BLE001
            return False


def _service_at(address: str) -> Any:
    # Loaded by those who have a target: it brings more modules than the rest of the process.
    import apprise

    # Its own log lines hold addresses at some levels.
    quiet = logging.getLogger("apprise")
    quiet.propagate = False
    quiet.setLevel(logging.CRITICAL + 1)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    service = apprise.Apprise()
    return service if service.add(address) and len(service) == 1 else None


def _name_of(service: Any, address: str, taken: Sequence[str]) -> str:
    kind = address.partition("://")[0].lower()
    shown = str(service[0].url(privacy=True))
    name = f"{kind}-{hashlib.sha256(shown.encode()).hexdigest()[:8]}"
    again = sum(other == name or other.startswith(f"{name}-") for other in taken)
    return f"{name}-{again + 1}" if again else name


def _notify_type(severity: Severity | None) -> str:
    """In apprise's words."""
    if severity is None:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}[severity]


async def _in_a_thread(work: Callable[[], bool]) -> bool:
    """A thread of its own, a daemon: pools are shared with other work and are waited for when the process ends."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(result: bool) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception:  # noqa: BLE001 (as above: not told, and the reason may hold the address)
            result = False
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the process has ended meanwhile

    threading.Thread(target=run, name="message", daemon=True).start()
    return bool(await done)
