"""What a stranger at the door could use, and does not get: hints about accounts, and addresses of their own choice."""

from typing import Any

import pytest
import yaml
from argon2 import PasswordHasher
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.passwords import Passwords
from tests.api.conftest import PASSWORD, Platform
from tests.api.fuzzing import ROOT


class CountingHasher(PasswordHasher):
    """Remembers whose hash was verified: time on a busy machine proves nothing, the work does."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        self.verified.append(str(hash))
        return super().verify(hash, password)


async def test_an_unknown_account_costs_as_much_work_as_a_known_one(platform: Platform) -> None:
    await platform.user("asha@example.com")
    hasher = CountingHasher()
    object.__setattr__(platform.services, "passwords", Passwords(hasher))
    for email in ("asha@example.com", "nobody@example.com"):
        body = {"email": email, "password": f"not {PASSWORD}"}
        await platform.anonymous().refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json=body)
    known, unknown = hasher.verified
    assert known != unknown
    # Algorithm, version, memory, passes, lanes.
    assert known.split("$")[1:4] == unknown.split("$")[1:4]


def trusted_proxies() -> str:
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["api"]["command"]
    return str(command[command.index("--forwarded-allow-ips") + 1])


@pytest.mark.parametrize(
    ("peer", "forwarded", "believed"),
    [
        ("172.18.0.5", "203.0.113.9", "203.0.113.9"),
        # Whoever writes the header themselves is still seen as who they are: the proxy adds their address behind it.
        ("172.18.0.5", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("172.18.0.5", "10.0.0.1, 203.0.113.9, 192.168.1.4", "203.0.113.9"),
        # Past the proxy nobody is believed.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ],
)
async def test_nobody_chooses_the_address_they_are_counted_under(peer: str, forwarded: str, believed: str) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    async def nothing(*_: Any) -> Any:
        return None

    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": [(b"x-forwarded-for", forwarded.encode())]}
    await ProxyHeadersMiddleware(app, trusted_hosts=trusted_proxies())(scope, nothing, nothing)
    assert seen == [believed]
