"""Paper accounts: opened without a broker, looked into, begun again."""

from decimal import Decimal

from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.schemas.broker import Connected
from api.schemas.paper import PaperBooks, PaperHoldingAnswer
from api.services import Services
from runtime.paper.books import Books
from runtime.paper.broker import PaperBroker, as_broker_errors
from runtime.paper.opening import PaperTerms, open_paper_account
from storage.models import BrokerAccount, PaperHolding
from storage.repositories import accounts, audit
from storage.repositories import paper as repository
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.paper import SeenPrice, blocked_cash

# More than anybody compares; they cost nothing, so somebody would make a million of them.
MOST_ACCOUNTS = 20


async def open_account(services: Services, caller: Caller, *, label: str, terms: PaperTerms) -> BrokerAccount:
    """Raises ApiError INVALID_VALUE when the user has too many already."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        listed = await accounts.list_of(session, user_id=caller.user_id)
        if sum(account.broker is BrokerName.PAPER for account in listed) >= MOST_ACCOUNTS:
            raise ApiError(ErrorCode.INVALID_VALUE, f"There are {MOST_ACCOUNTS} paper accounts already: remove one")
        account = await open_paper_account(session, services.accounts, user_id=caller.user_id, label=label, terms=terms, now=now)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="broker.connect",
            subject_id=account.id,
            now=now,
            broker=BrokerName.PAPER.value,
            environment=account.environment.value,
            logged_in=True,
        )
    return account


def connected(account: BrokerAccount) -> Connected:
    return Connected(
        broker_id=account.id,
        status="connected",
        broker_valid=True,
        broker=account.broker,
        environment=account.environment,
        login_url=None,
    )


async def books(services: Services, account: BrokerAccount) -> PaperBooks:
    """Raises ApiError BROKER_NOT_SUPPORTED for an account at a broker, BrokerError."""
    broker = _paper(services, account)
    with as_broker_errors():
        async with broker.exchange.reading(account.id) as open_books:
            held = [row for row in await repository.holdings(open_books.session, account.id) if row.quantity or row.realised]
            blocked = blocked_cash(await open_books.working())
    seen = await broker.exchange.prices.seen({InstrumentId(row.exchange, row.symbol) for row in held if row.quantity})
    holdings = [_holding(row, seen.get(InstrumentId(row.exchange, row.symbol))) for row in held]
    open_pnls = [holding.open_pnl for holding in holdings]
    known = [value for value in open_pnls if value is not None]
    open_pnl = sum(known, Decimal(0)) if len(known) == len(open_pnls) else None
    row = open_books.account
    cost = sum((holding.cost for holding in held), Decimal(0))
    return PaperBooks(
        broker_id=account.id,
        starting_cash=row.starting_cash,
        cash=row.cash,
        blocked=blocked,
        realised_pnl=sum((holding.realised for holding in held), Decimal(0)),
        open_pnl=open_pnl,
        value=None if open_pnl is None else row.cash + cost + open_pnl,
        slippage_percent=row.slippage_percent,
        largest_fill=row.largest_fill,
        began_at=row.reset_at,
        holdings=holdings,
    )


def _holding(row: PaperHolding, seen: SeenPrice | None) -> PaperHoldingAnswer:
    price = seen.price if seen and row.quantity else None
    open_pnl = None if price is None else row.quantity * price - row.cost
    return PaperHoldingAnswer(
        exchange=row.exchange,
        symbol=row.symbol,
        product=row.product,
        quantity=row.quantity,
        average_price=row.cost / row.quantity if row.quantity else Decimal(0),
        realised_pnl=row.realised,
        last_price=price,
        open_pnl=open_pnl if row.quantity else Decimal(0),
    )


async def begin_again(services: Services, caller: Caller, *, account_id: str, terms: PaperTerms) -> BrokerAccount:
    """New cash and rules, nothing held. Raises ApiError BROKER_NOT_FOUND, BROKER_NOT_SUPPORTED, BROKER_IN_USE."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        # A start takes the same lock: no run begins in the middle of this.
        account = await accounts.find_for_update(session, account_id=account_id, user_id=caller.user_id)
        if account is None:
            raise ApiError(ErrorCode.BROKER_NOT_FOUND)
        _paper(services, account)
        if await accounts.has_open_run(session, account_id=account_id, user_id=caller.user_id):
            raise ApiError(ErrorCode.BROKER_IN_USE)
        open_books = await Books.open(session, account_id, services.clock)
        await open_books.start_again(cash=terms.cash, rules=terms.rules)
        await audit.append(
            session, actor_id=caller.user_id, action="broker.paper_reset", subject_id=account_id, now=now, cash=str(terms.cash)
        )
    return account


def _paper(services: Services, account: BrokerAccount) -> PaperBroker:
    broker = services.accounts.broker_of(account) if account.broker is BrokerName.PAPER else None
    if not isinstance(broker, PaperBroker):
        raise ApiError(ErrorCode.BROKER_NOT_SUPPORTED, "this is not a paper account")
    return broker
