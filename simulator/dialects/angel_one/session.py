"""Login and sessions (SmartAPI documentation, "User"): PIN and one-time code, renewal, profile, logout; the publisher's page."""

import hashlib
import html
import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS, india_datetime, india_text
from simulator.dialects.angel_one.call import NAME, Call
from simulator.dialects.angel_one.envelope import AngelError, success
from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.common.reply import Reply
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.registry import Registry

DEFAULT_PIN = "1234"
PASSED_CODE = "000000"
"""A one-time code that is always wrong; any other six digits are right."""
_PIN = re.compile(r"[0-9]{4}\Z")
_CODE = re.compile(r"[0-9]{6}\Z")


def pin_of(account: Account) -> str:
    """The account's secret where that is four digits, else the same for everybody."""
    return account.api_secret if _PIN.match(account.api_secret) else DEFAULT_PIN


def is_client_code(account: Account, given: str) -> bool:
    """The account's user id; made-up accounts may go by their key."""
    return given.upper() in (account.user_id.upper(), account.api_key.upper())


def refresh_token(access_token: str) -> str:
    """Belongs to one access token."""
    return "r" + hashlib.sha256(f"{access_token}.refresh".encode()).hexdigest()


def feed_token(access_token: str) -> str:
    """Belongs to one access token."""
    return "f" + hashlib.sha256(f"{access_token}.feed".encode()).hexdigest()


def next_midnight(now_ns: int) -> int:
    """The end of a session that begins now, epoch nanoseconds."""
    wall = india_datetime(now_ns).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    return (int(wall.timestamp()) - INDIA_OFFSET_SECONDS) * SECOND_NS


class SessionEndpoints:
    """Everything about who is logged in."""

    def __init__(self, registry: Registry, exchange: Exchange, *, redirect_url: str | None) -> None:
        self._registry = registry
        self._exchange = exchange
        self._redirect_url = redirect_url

    def open(self, account: Account) -> str:
        """A new session; its access token."""
        return self._registry.open_session(account, dialect=NAME, expires_ns=next_midnight(self._exchange.clock()))

    def credentials(self, account: Account) -> SimulatedAccount:
        """The living session, or a new one."""
        token = self._registry.living_token(account, NAME) or self.open(account)
        return SimulatedAccount(
            key=account.api_key,
            api_key=account.api_key,
            api_secret=account.api_secret,
            access_token=token,
            user_id=account.user_id,
            refresh_token=refresh_token(token),
            feed_token=feed_token(token),
        )

    def log_in(self, call: Call) -> Reply:
        """`POST loginByPassword`."""
        account = self._registry.find(call.request.headers.get("X-PrivateKey", ""))
        if account is None or not is_client_code(account, call.text("clientcode")):
            raise AngelError("AB1007", "Invalid Client Code or Api Key")
        if call.text("password") != pin_of(account):
            raise AngelError("AB1007", "LoginId and password mismatch")
        code = call.text("totp")
        if not _CODE.match(code) or code == PASSED_CODE:
            raise AngelError("AB1050", "Invalid totp")
        return success(_tokens(self.open(account)) | {"state": call.text("state")})

    def renew(self, call: Call) -> Reply:
        """`POST generateTokens`: the session before ends with it."""
        account = call.account
        given = call.text("refreshToken")
        if account.access_token is None or given != refresh_token(account.access_token):
            raise AngelError("AB8050", "Invalid Refresh Token")
        return success(_tokens(self.open(account)))

    def close(self, call: Call) -> Reply:
        """`POST logout`."""
        if not is_client_code(call.account, call.text("clientcode")):
            raise AngelError("AB1000", "Invalid Client Code")
        self._registry.end_session(call.account)
        return success("")

    def profile(self, call: Call) -> Reply:
        """`GET getProfile`; a query is ignored."""
        account = call.account
        return success({
            "clientcode": account.user_id, "name": f"Simulated {account.user_id}", "email": "", "mobileno": "",
            "exchanges": '["nse_cm","bse_cm","nse_fo"]', "products": '["DELIVERY","INTRADAY","CARRYFORWARD"]',
            "lastlogintime": india_text(account.login_ns), "brokerid": "B2C",
        })  # fmt: skip

    async def page(self, request: web.Request) -> web.Response:
        """`GET /publisher-login?api_key=&state=&redirect_url=`: logs in at once and goes back with the tokens."""
        account = self._registry.find(request.query.get("api_key", ""))
        if account is None:
            return web.Response(status=400, text="<p>Invalid api_key.</p>", content_type="text/html")
        token = self.open(account)
        result = {
            "auth_token": token, "feed_token": feed_token(token), "refresh_token": refresh_token(token),
            "state": request.query.get("state", ""),
        }  # fmt: skip
        target = request.query.get("redirect_url") or account.redirect_url or self._redirect_url
        if not target:
            text = f"<p>No redirect address is known. The token:</p><pre>{html.escape(token)}</pre>"
            return web.Response(text=text, content_type="text/html")
        parts = urlsplit(target)
        query = urlencode(parse_qsl(parts.query) + list(result.items()))
        return web.Response(status=302, headers={"Location": urlunsplit(parts._replace(query=query))})


def _tokens(access_token: str) -> dict[str, str]:
    return {
        "jwtToken": access_token,
        "refreshToken": refresh_token(access_token),
        "feedToken": feed_token(access_token),
    }
