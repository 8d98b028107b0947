"""`python -m api.admin_cli`: what is done on the machine itself, without a token: make the first Admin, rotate keys."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy import select

from api import second_factor
from api.passwords import LONGEST, SHORTEST, Passwords
from runtime.accounts import BrokerAccounts
from runtime.brokers import open_accounts
from runtime.clock import SystemClock
from runtime.crypto import KeyRing
from runtime.settings import Settings
from runtime.user_targets import UserTargets, seal_device_anew
from storage.database import Database
from storage.models import BrokerAccount, DeviceToken, NotificationTarget, Role, User
from storage.repositories import audit, audit_chain, sessions, users
from storage.repositories.audit_chain import Chain, Head
from trading.ports.sealing import SealBroken

app = typer.Typer(add_completion=False, help="Administration on the machine itself.", no_args_is_help=True)
console = Console()


@app.command()
def create_admin(
    email: str,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD")],
) -> None:
    """Make an Admin, or make an existing user one (the password is then left as it is)."""
    if not SHORTEST <= len(password) <= LONGEST:
        console.print(f"[red]The password must have between {SHORTEST} and {LONGEST} characters.[/red]")
        raise typer.Exit(2)
    console.print(asyncio.run(_create_admin(_settings(), email.strip().lower(), password)))


@app.command()
def reset_second_factor(email: str) -> None:
    """Switch a user's second factor off, when phone and recovery codes are lost. Make sure first that it is really them."""
    if not asyncio.run(_reset_second_factor(_settings(), email.strip().lower())):
        console.print("[red]No such user, or their second factor is off already.[/red]")
        raise typer.Exit(1)
    console.print(f"The second factor of {email} is off, and their sessions have ended.")


@app.command()
def rotate_keys() -> None:
    """Seal every stored secret anew with the first key of AES_MASTER_KEYS; older keys can be removed afterwards."""
    count, broken = asyncio.run(_rotate(_settings()))
    console.print(f"{count} secrets sealed anew.")
    if broken:
        console.print(f"[red]{broken} secrets could not be opened with any key and were left as they are.[/red]")
        raise typer.Exit(1)


@app.command()
def check_audit(
    noted: Annotated[
        str | None, typer.Option(help="A head that an earlier check printed, `sequence:hash`: it must still be in the chain.")
    ] = None,
) -> None:
    """Prove that the audit log is whole: nothing that was sealed has been changed or taken out."""
    chain = asyncio.run(_check(_settings(), _read_noted(noted)))
    if chain.broken_at is not None:
        console.print(f"[red]The audit log is broken at entry {chain.broken_at}: {chain.why}.[/red]")
        raise typer.Exit(1)
    console.print(f"The audit log is whole: {chain.head.sequence} entries are sealed.")
    if chain.unsealed:
        since = f"{chain.oldest_unsealed_at:%Y-%m-%d %H:%M:%S}"
        console.print(
            f"[yellow]{chain.unsealed} entries, the oldest of {since} UTC, are not sealed yet: nothing proves them.[/yellow]"
        )
    console.print(f"Note this elsewhere: {chain.head.sequence}:{chain.head.hash}", soft_wrap=True)


def _read_noted(noted: str | None) -> Head | None:
    if noted is None:
        return None
    sequence, _, hashed = noted.partition(":")
    if not sequence.isdecimal() or not hashed:
        raise typer.BadParameter("must be `sequence:hash`")
    return Head(int(sequence), hashed)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        sys.exit(f"a setting is wrong: {error}")


async def _create_admin(settings: Settings, email: str, password: str) -> str:
    clock, passwords = SystemClock(), Passwords()
    password_hash = await passwords.hash(password)
    passwords.close()
    async with Database(settings.database_url) as database, database.transaction() as session:
        user = await users.find_by_email(session, email=email)
        existed = user is not None
        if user is None:
            user = User(email=email, password_hash=password_hash, role=Role.ADMIN)
            session.add(user)
        user.role = Role.ADMIN
        await session.flush()
        await audit.append(session, actor_id=None, action="user.make_admin", subject_id=user.id, now=clock.now())
        return f"{email} is an Admin now." if existed else f"Admin {email} was created."


async def _reset_second_factor(settings: Settings, email: str) -> bool:
    clock = SystemClock()
    async with Database(settings.database_url) as database, database.transaction() as session:
        found = await users.find_by_email(session, email=email)
        user = await users.find_for_update(session, user_id=found.id) if found else None
        if user is None or user.totp_confirmed_at is None:
            return False
        await second_factor.switch_off(session, user)
        await sessions.end_all(session, user_id=user.id, now=clock.now())
        await audit.append(session, actor_id=None, action="user.second_factor_reset", subject_id=user.id, now=clock.now())
    return True


async def _rotate(settings: Settings) -> tuple[int, int]:
    """How many accounts, second factors, targets and devices were sealed anew, and how many could not be opened."""
    clock = SystemClock()
    async with Database(settings.database_url) as database:
        accounts = open_accounts(settings, database, clock)
        user_targets = UserTargets(KeyRing.parse(settings.aes_master_keys.get_secret_value()), ())
        async with database.transaction() as session:
            rows = await session.scalars(select(BrokerAccount).where(BrokerAccount.deleted_at.is_(None)).with_for_update())
            targets = await session.scalars(
                select(NotificationTarget).where(NotificationTarget.deleted_at.is_(None)).with_for_update()
            )
            devices = await session.scalars(select(DeviceToken).where(DeviceToken.deleted_at.is_(None)).with_for_update())
            protected = select(User).where(User.sealed_totp_secret.is_not(None), User.deleted_at.is_(None))
            people = await session.scalars(protected.with_for_update(key_share=True))
            outcomes = [
                *(_opens(partial(_seal_account, accounts, account)) for account in rows),
                *(_opens(partial(user_targets.seal_anew, target)) for target in targets),
                *(_opens(partial(seal_device_anew, user_targets.sealer, device)) for device in devices),
                *(_opens(partial(second_factor.seal_anew, accounts.sealer, user)) for user in people),
            ]
            sealed, broken = outcomes.count(True), outcomes.count(False)
            await audit.append(session, actor_id=None, action="keys.rotate", subject_id=None, now=clock.now(), accounts=sealed)
        await accounts.close()
    return sealed, broken


def _seal_account(accounts: BrokerAccounts, account: BrokerAccount) -> None:
    accounts.seal(account, accounts.credentials(account))


def _opens(seal_anew: Callable[[], None]) -> bool:
    try:
        seal_anew()
    except SealBroken:
        return False
    return True


async def _check(settings: Settings, noted: Head | None) -> Chain:
    async with Database(settings.database_url) as database:
        return await audit_chain.check(database, noted=noted)


if __name__ == "__main__":
    app()
