"""C01 to C09: sessions and the account itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.world import World
from trading.accounts import Environment
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired


class LoginContract:
    async def test_c01_a_login_yields_a_session_the_broker_accepts(self, world: World) -> None:
        session = await world.login.log_in(world.credentials, world.answer())
        assert session.broker_user_id == world.account.user_id
        assert timedelta(0) < session.expires_at - datetime.now(UTC) <= timedelta(days=1)
        profile = await world.another_broker(access_token=session.access_token).profile()
        assert profile.broker_user_id == world.account.user_id
        assert profile.name

    async def test_c02_a_wrong_secret_is_refused(self, world: World) -> None:
        answer = world.answer()
        # What is secret is the app's key at some brokers and the person's PIN at others.
        wrong = answer if answer.pin is None else replace(answer, pin="0000")
        with pytest.raises(BrokerRefused):
            await world.login.log_in(replace(world.credentials, api_secret="wrong"), wrong)

    async def test_c03_a_code_that_was_used_or_has_passed_is_refused(self, world: World) -> None:
        answer = world.answer()
        await world.login.log_in(world.credentials, answer)
        with pytest.raises(BrokerRefused):
            await world.login.log_in(world.credentials, world.used_up(answer))

    async def test_c04_a_newer_login_ends_the_session_before(self, world: World) -> None:
        await world.login.log_in(world.credentials, world.answer())
        with pytest.raises(SessionExpired):
            await world.broker.profile()

    async def test_c05_a_login_without_an_answer_is_unavailable(self, world: World) -> None:
        world.fault("drop_before", endpoint="session")
        with pytest.raises(BrokerUnavailable):
            await world.login.log_in(world.credentials, world.answer())

    async def test_c06_credentials_are_valid_while_the_token_lives(self, world: World) -> None:
        assert (await world.broker.validate_credentials()).broker_user_id == world.account.user_id
        world.expire_token()
        with pytest.raises(SessionExpired):
            await world.broker.validate_credentials()

    async def test_c07_margins_follow_what_is_used(self, world: World) -> None:
        before = await world.broker.margins()
        await world.place(world.order())
        after = await world.broker.margins()
        assert before.available > after.available > 0
        assert after.used > before.used

    async def test_c08_the_environment_of_a_stand_in_is_simulated(self, world: World) -> None:
        assert world.broker.environment is Environment.SIMULATED
        assert world.login.environment is Environment.SIMULATED
        assert world.broker.name is world.login.name is world.master.name is world.name

    async def test_c09_the_login_page_is_told_who_and_returns_our_state(self, world: World) -> None:
        url = await world.login.login_url(world.credentials, state="a&b=c", redirect_url="https://here.example/back")
        query = parse_qs(urlsplit(url or "").query)
        assert world.account.api_key in str(query)
        assert world.account.api_secret not in str(query)
