"""Opening a paper account: a broker account row like any other, whose secrets are no secrets, and its books."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from runtime.accounts import BrokerAccounts
from storage.models import BrokerAccount, PaperAccount
from trading.accounts import BrokerName, Credentials, Environment
from trading.paper import DEFAULT_CASH, PaperRules

# There is nothing to log in to, so no login ever ends.
NEVER_EXPIRES = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PaperTerms:
    cash: Decimal = DEFAULT_CASH
    rules: PaperRules = field(default_factory=PaperRules)


async def open_paper_account(
    session: AsyncSession, accounts: BrokerAccounts, *, user_id: str, label: str, terms: PaperTerms, now: datetime
) -> BrokerAccount:
    """Both rows, in the caller's transaction."""
    account = BrokerAccount(
        user_id=user_id,
        broker=BrokerName.PAPER,
        environment=Environment.SIMULATED,
        label=label,
        session_version=1,
        session_started_at=now,
        token_expires_at=NEVER_EXPIRES,
        health="ok",
        created_by=user_id,
    )
    account.broker_user_id = account.id
    accounts.seal(account, Credentials(api_key="paper", api_secret="paper", access_token="paper"))  # noqa: S106 (opens nothing)
    session.add(account)
    await session.flush()
    rules = terms.rules
    session.add(
        PaperAccount(
            account_id=account.id,
            user_id=user_id,
            starting_cash=terms.cash,
            cash=terms.cash,
            slippage_percent=rules.slippage_percent,
            largest_fill=rules.largest_fill,
            sequence=0,
            reset_at=now,
        )
    )
    await session.flush()
    return account
