from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from cache.connection import connect
from runtime.accounts import BrokerAccounts
from runtime.brokers import open_accounts
from runtime.paper.opening import PaperTerms, open_paper_account
from runtime.settings import Settings
from storage.database import Database
from storage.models import User
from tests.integration.paper.world import OPEN, HeldClock, PaperWorld
from trading.paper import PaperRules

AES_KEY = "test:" + "A" * 43 + "="


@pytest.fixture
async def world(database_url: str, redis_url: str) -> AsyncIterator[PaperWorld]:
    """An account with 100,000 rupees in a market without slippage, on a Friday at ten."""
    settings = Settings(database_url=database_url, redis_url=redis_url, aes_master_keys=AES_KEY, _env_file=None)
    redis = connect(redis_url)
    async with Database(database_url, pool_size=20) as database:
        clock = HeldClock()
        accounts: BrokerAccounts = open_accounts(settings, database, clock)
        terms = PaperTerms(Decimal(100_000), PaperRules(slippage_percent=Decimal(0)))
        async with database.transaction() as session:
            user = User(email="alice@example.org", password_hash="-")
            session.add(user)
            await session.flush()
            account = await open_paper_account(session, accounts, user_id=user.id, label="Try", terms=terms, now=OPEN)
        yield PaperWorld(database, redis, account, clock)
        await accounts.close()
    await redis.aclose()
