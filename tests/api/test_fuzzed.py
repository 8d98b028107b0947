"""Everything the document allows and forbids, sent by a fuzzer to the application: as Admin, User, Broker, and as nobody."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from runtime.messenger import Message
from runtime.user_targets import UserTargets
from storage.models import Role, User
from tests.api.conftest import Client, Platform
from tests.api.fakes import TCS
from tests.api.fuzzing import ACCEPTANCE, EXPLORE_SECONDS, Fuzz, fuzz, served, table
from tests.api.test_isolation import everything_of

TIMEOUT = 900 + 2 * EXPLORE_SECONDS
# Not the one of the document's examples: whoever sends those would change it.
PASSWORD = "not in any example 7"


class NobodyIsTold(UserTargets):
    """The test button sends nothing out of here."""

    def open(self, target: Any) -> Any:
        super().open(target)
        return self

    async def tell(self, message: Message) -> bool:
        return True


async def person(platform: Platform, email: str, role: Role, *, password: str = PASSWORD) -> Client:
    client = platform.anonymous()
    client.tokens = await client.post("/auth/register", {"email": email, "password": password}, expect=201)
    async with platform.services.database.transaction() as session:
        await session.execute(update(User).where(User.id == client.user_id).values(role=role, broker="zerodha"))
    return client


def bearer(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.tokens['token']}"}


# They end the session they are called with.
ENDS_ITS_SESSION = ("logout", "endSession", "changePassword")
EXPECTED: dict[str, list[str]] = {
    # No worker runs here, and it says so.
    "getReadiness": [
        "checks.not_a_server_error.expected-statuses = ['2xx', '4xx', '503']",
        "checks.positive_data_acceptance.expected-statuses = ['2xx', '503']",
    ],
    # Which fields belong together, the document says in words: the generated clients could not say it.
    "connectBroker": [f"checks.positive_data_acceptance.expected-statuses = {[*ACCEPTANCE, '422']}"],
    "renewBrokerSession": [f"checks.positive_data_acceptance.expected-statuses = {[*ACCEPTANCE, '422']}"],
}
STATELESS = ("examples", "coverage", "fuzzing")
ADMINISTRATION = "/admin/|/broker/stats"
EVERYTHING_ELSE = f"^((?!{ADMINISTRATION}).)*$"
# Whoever calls them, they know nobody.
PUBLIC = "/auth/(register|login|refresh)$|/callback$|/postback/|/readiness/login/|/health$|/ready$|/metrics$"
# Others take the same: `backtest`, `createStrategy`, `connectBroker`, `startStrategy`, `stopStrategy`, `getReport`,
# `changeNotificationTarget`, `listPlaygroundDays`. Each file of prices is read by a process of its own.
TWINS = (
    "simulate",
    "updateStrategy",
    "renewBrokerSession",
    "startStrategyById",
    "stopStrategyById",
    "changeDevice",
    "exportReport",
    "exportPlaygroundDays",
    "uploadPrices",
)


async def as_role(platform: Platform, role: Role, **choices: Any) -> Fuzz:
    caller = await person(platform, "asha@example.org", role)
    ids: dict[str, str] = {"broker": "zerodha", "flag": "registration"}
    if role is not Role.BROKER:
        ids |= await everything_of(platform, caller)
        del ids["run_id"]
    other = await person(platform, "ravi@example.org", Role.USER)
    operations = dict(EXPECTED)
    for operation_id in ENDS_ITS_SESSION:
        gone = await person(platform, f"{operation_id}@example.org", role)
        unasked = ["checks.missing_required_header.enabled = false", "checks.ignored_auth.enabled = false"]
        operations[operation_id] = [f"headers = {table(bearer(gone))}", *unasked]
    return Fuzz(caller.tokens["token"], ids=ids | {"user_id": other.user_id}, operations=operations, **choices)


@pytest.fixture
def api(trading: Platform) -> Platform:
    """Prices are known, workflows start, and nothing is sent out of here."""
    services = trading.services
    object.__setattr__(services, "user_targets", NobodyIsTold(services.user_targets.sealer, ()))
    trading.broker.prices[TCS] = Decimal(3550)
    return trading


async def keeps_its_word(platform: Platform, settings: Fuzz, folder: Path) -> None:
    async with served(platform) as address:
        status, printed = await fuzz(address, settings, folder)
    assert status == 0, printed


@pytest.mark.timeout(TIMEOUT)
async def test_a_user(api: Platform, tmp_path: Path) -> None:
    choices = {"addresses": EVERYTHING_ELSE, "covered": f"^((?!{PUBLIC}).)*$", "covered_elsewhere": TWINS}
    await keeps_its_word(api, await as_role(api, Role.USER, **choices), tmp_path)


@pytest.mark.timeout(TIMEOUT)
async def test_an_admin(api: Platform, tmp_path: Path) -> None:
    await keeps_its_word(api, await as_role(api, Role.ADMIN, addresses=ADMINISTRATION), tmp_path)


@pytest.mark.timeout(TIMEOUT)
async def test_a_brokers_staff(api: Platform, tmp_path: Path) -> None:
    await keeps_its_word(api, await as_role(api, Role.BROKER, phases=STATELESS, covered="/broker/stats"), tmp_path)


@pytest.mark.timeout(TIMEOUT)
async def test_nobody(api: Platform, tmp_path: Path) -> None:
    await keeps_its_word(api, Fuzz(None, operations=EXPECTED, phases=STATELESS, covered=PUBLIC), tmp_path)
