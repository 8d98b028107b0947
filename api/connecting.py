"""Broker accounts: nothing is stored that the broker has refused, and nothing by halves."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from activities.messages import CredentialsRenewed
from api import notify
from api.access import PREFIX
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.services import Services
from api.starting import is_logged_in
from api.tokens import BROKER_LOGIN, LOGIN_STATE_LIFE
from runtime.accounts import PENDING, known_identity
from storage.models import BrokerAccount
from storage.repositories import accounts, audit
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerError, BrokerRefused, SessionExpired
from trading.ports.sealing import SealBroken
from workflows.names import CREDENTIALS_RENEWED

log = structlog.get_logger()
HEALTHY = "ok"
SOMEBODY_ELSE = "this login belongs to another user of the broker"


@dataclass(frozen=True, slots=True)
class Connected:
    account: BrokerAccount
    broker_valid: bool
    login_url: str | None


def broker_named(services: Services, name: str) -> BrokerName:
    """Raises ApiError BROKER_NOT_SUPPORTED."""
    try:
        broker = BrokerName(name.strip().lower())
    except ValueError:
        raise ApiError(ErrorCode.BROKER_NOT_SUPPORTED) from None
    if broker not in services.accounts.with_servers():
        raise ApiError(ErrorCode.BROKER_NOT_SUPPORTED, f"{broker.value} is not supported yet")
    return broker


async def connect(
    services: Services, caller: Caller, *, broker: BrokerName, credentials: Credentials, answer: LoginAnswer, label: str
) -> Connected:
    """Store the account, with a session if there is a token for one. The same broker user again renews the account."""
    await _check_family(services, caller, broker)
    opened = await _open_session(services, broker, credentials, answer)
    now = services.clock.now()
    async with services.database.transaction() as session:
        account = await _account_for(services, session, caller, broker, opened, credentials)
        account.label = label or account.label or ""
        services.accounts.seal(account, _with_tokens(credentials, opened or _kept(services, account)))
        _begin_session(account, opened, now=now)
        await session.flush()
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="broker.connect",
            subject_id=account.id,
            now=now,
            broker=broker.value,
            environment=account.environment.value,
            logged_in=opened is not None,
        )
    await _tell_renewed(services, account, now=now)
    valid = is_logged_in(services, account)
    return Connected(account, valid, None if valid else await _login_url_if_any(services, account))


async def _login_url_if_any(services: Services, account: BrokerAccount) -> str | None:
    """The account is stored: a page that cannot be had now is asked for again."""
    try:
        return await login_url(services, account)
    except BrokerError as error:
        log.warning("login_page_unavailable", account_id=account.id, error=str(error))
        return None


def _kept(services: Services, account: BrokerAccount) -> Credentials | None:
    """Connecting again without a token does not end a session that is alive."""
    return services.accounts.credentials(account) if account.sealed_access_token is not None else None


def _with_tokens(credentials: Credentials, source: BrokerSession | Credentials | None) -> Credentials:
    if source is None:
        return credentials
    return replace(
        credentials, access_token=source.access_token, refresh_token=source.refresh_token, feed_token=source.feed_token
    )


async def _check_family(services: Services, caller: Caller, broker: BrokerName) -> None:
    if services.accounts.login(broker).environment is Environment.LIVE and not services.settings.allow_unrelated_live_accounts:
        async with services.database.transaction() as session:
            if await accounts.another_user_is_live(session, user_id=caller.user_id):
                raise ApiError(ErrorCode.UNRELATED_LIVE_ACCOUNT)


async def _open_session(
    services: Services, broker: BrokerName, credentials: Credentials, answer: LoginAnswer
) -> BrokerSession | None:
    """Ask the broker. None: there is nothing to ask with. Raises ApiError BROKER_AUTH_FAILED, BrokerError."""
    if answer.is_empty:
        return None
    try:
        opened = await services.accounts.login(broker).log_in(credentials, answer)
    except (BrokerRefused, SessionExpired) as error:
        raise ApiError(ErrorCode.BROKER_AUTH_FAILED, str(error)) from error
    if credentials.broker_user_id not in ("", opened.broker_user_id):
        raise ApiError(ErrorCode.BROKER_AUTH_FAILED, SOMEBODY_ELSE)
    return opened


async def _account_for(
    services: Services,
    session: AsyncSession,
    caller: Caller,
    broker: BrokerName,
    session_found: BrokerSession | None,
    credentials: Credentials,
) -> BrokerAccount:
    """The user's account with that identity, or one with the same key that is still waiting for its login, or a new one."""
    environment = services.accounts.login(broker).environment
    if environment is Environment.LIVE:
        await accounts.lock_live_accounts(session)
        unrelated = await accounts.another_user_is_live(session, user_id=caller.user_id)
        if unrelated and not services.settings.allow_unrelated_live_accounts:
            raise ApiError(ErrorCode.UNRELATED_LIVE_ACCOUNT)
    found = await _known_account(services, session, caller, broker, session_found, credentials)
    if found is None:
        found = BrokerAccount(user_id=caller.user_id, broker=broker, session_version=0, created_by=caller.user_id)
        found.broker_user_id = credentials.broker_user_id or PENDING + found.id
        found.sealed_api_key = found.sealed_api_secret = ""
        session.add(found)
    elif found.environment is not environment and await accounts.has_open_run(
        session, account_id=found.id, user_id=caller.user_id
    ):
        raise ApiError(ErrorCode.BROKER_IN_USE)
    found.environment = environment
    found.updated_by = caller.user_id
    return found


async def _known_account(
    services: Services,
    session: AsyncSession,
    caller: Caller,
    broker: BrokerName,
    session_found: BrokerSession | None,
    credentials: Credentials,
) -> BrokerAccount | None:
    identity = session_found.broker_user_id if session_found is not None else credentials.broker_user_id
    if identity:
        same = await accounts.find_same(session, user_id=caller.user_id, broker=broker, broker_user_id=identity)
        # Where the user has said who they are, nothing else tells accounts apart.
        if same is not None or credentials.broker_user_id:
            return same
    with_key = [
        account
        for account in await accounts.list_of(session, user_id=caller.user_id)
        if account.broker is broker and _has_key(services, account, credentials.api_key)
    ]
    waiting = [account for account in with_key if account.broker_user_id.startswith(PENDING)]
    # A login that was just proven belongs to that identity; without one, the key is all that tells accounts apart.
    return next(iter(waiting if session_found is not None else [*waiting, *with_key]), None)


def _has_key(services: Services, account: BrokerAccount, api_key: str) -> bool:
    try:
        return services.accounts.credentials(account).api_key == api_key
    except SealBroken:
        return False


def _begin_session(account: BrokerAccount, found: BrokerSession | None, *, now: datetime) -> None:
    account.session_version += 1
    if found is None:
        return
    account.broker_user_id = found.broker_user_id
    account.token_expires_at = found.expires_at
    account.session_started_at = now
    account.health, account.health_detail = HEALTHY, ""


async def renew(services: Services, *, user_id: str, account_id: str, answer: LoginAnswer) -> BrokerAccount:
    """A new login of an account. Raises ApiError BROKER_NOT_FOUND, BROKER_AUTH_FAILED, BrokerError."""
    async with services.database.transaction() as session:
        seen = await _existing(session, account_id=account_id, user_id=user_id)
    opened = await _open_session(services, seen.broker, services.accounts.credentials(seen), answer)
    if opened is None:
        raise ApiError(
            ErrorCode.INVALID_INPUT,
            "send what the login brought, such as request_token or access_token",
        )
    now = services.clock.now()
    try:
        async with services.database.transaction() as session:
            account = await _store_session(services, session, user_id, account_id, opened, now=now)
    except IntegrityError as error:
        raise ApiError(ErrorCode.BROKER_ALREADY_CONNECTED) from error
    await _tell_renewed(services, account, now=now)
    return account


async def _store_session(
    services: Services, session: AsyncSession, user_id: str, account_id: str, opened: BrokerSession, *, now: datetime
) -> BrokerAccount:
    account = await accounts.find_for_update(session, account_id=account_id, user_id=user_id)
    if account is None:
        raise ApiError(ErrorCode.BROKER_NOT_FOUND)
    if known_identity(account) not in ("", opened.broker_user_id):
        raise ApiError(ErrorCode.BROKER_AUTH_FAILED, SOMEBODY_ELSE)
    if services.accounts.login(account.broker).environment is not account.environment:
        raise ApiError(ErrorCode.BROKER_NOT_CONNECTED, "the account was connected in another environment; connect again")
    stored = services.accounts.credentials(account)
    services.accounts.seal(account, _with_tokens(stored, opened))
    _begin_session(account, opened, now=now)
    await session.flush()
    await audit.append(session, actor_id=user_id, action="broker.login", subject_id=account.id, now=now)
    return account


async def store_renewal(services: Services, seen: BrokerAccount, opened: BrokerSession) -> None:
    """A session that was renewed without a person; nothing is stored when a person has logged in meanwhile."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        account = await accounts.find_for_update(session, account_id=seen.id, user_id=seen.user_id)
        if account is None or account.session_version != seen.session_version:
            return
        if known_identity(account) != opened.broker_user_id:
            raise BrokerRefused(SOMEBODY_ELSE)
        services.accounts.seal(account, _with_tokens(services.accounts.credentials(account), opened))
        _begin_session(account, opened, now=now)
        await session.flush()
        await audit.append(session, actor_id=account.user_id, action="broker.renew", subject_id=account.id, now=now)
    await _tell_renewed(services, account, now=now)


async def _existing(session: AsyncSession, *, account_id: str, user_id: str) -> BrokerAccount:
    account = await accounts.find(session, account_id=account_id, user_id=user_id)
    if account is None:
        raise ApiError(ErrorCode.BROKER_NOT_FOUND)
    return account


async def _tell_renewed(services: Services, account: BrokerAccount, *, now: datetime) -> None:
    """Runs that wait for a login go on; desks and the listener unseal again."""
    await notify.account_changed(services, account_id=account.id)
    async with services.database.transaction() as session:
        workflows = await accounts.open_workflows(session, account_id=account.id, user_id=account.user_id)
    message = CredentialsRenewed(account_id=account.id, at=now)
    await notify.signal_all(services, workflow_ids=workflows, name=CREDENTIALS_RENEWED, message=message)


async def login_url(services: Services, account: BrokerAccount) -> str | None:
    """Where the user logs in; the state that comes back says whose login it is. None: the broker has no such page."""
    state = services.signer.sign(audience=BROKER_LOGIN, user_id=account.user_id, subject_id=account.id, life=LOGIN_STATE_LIFE)
    login = services.accounts.login(account.broker)
    callback = f"{services.settings.public_url.rstrip('/')}{PREFIX}/broker/{account.broker.value}/callback"
    return await login.login_url(services.accounts.credentials(account), state=state, redirect_url=callback)


async def disconnect(services: Services, caller: Caller, *, account_id: str) -> None:
    """Remove an account and wipe its secrets. Raises ApiError BROKER_NOT_FOUND, BROKER_IN_USE."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        account = await accounts.find_for_update(session, account_id=account_id, user_id=caller.user_id)
        if account is None:
            raise ApiError(ErrorCode.BROKER_NOT_FOUND)
        if await accounts.has_open_run(session, account_id=account_id, user_id=caller.user_id):
            raise ApiError(ErrorCode.BROKER_IN_USE)
        accounts.mark_deleted(account, by=caller.user_id, now=now)
        await audit.append(session, actor_id=caller.user_id, action="broker.delete", subject_id=account_id, now=now)
    await notify.account_changed(services, account_id=account_id)
