"""Login and sessions (Fyers API v3 documentation, "Authentication & login flow", "User")."""

import hmac
import html
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from simulator.dialects.common.reply import Reply
from simulator.dialects.fyers.call import Call
from simulator.dialects.fyers.envelope import FyersError, success
from simulator.dialects.fyers.tokens import NAME, Doorman, app_id_hash, mint
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.registry import Registry, next_token_death

_QUERY = ("client_id", "redirect_uri", "state")


def open_session(account: Account, *, exchange: Exchange, registry: Registry) -> str:
    """A new token, good until 06:00 Indian time; the one before is dead."""
    now = exchange.clock()
    expires = next_token_death(now)
    token = mint(account, now_ns=now, expires_ns=expires)
    return registry.open_session(account, dialect=NAME, token=token, expires_ns=expires)


class SessionEndpoints:
    """Everything about who is logged in."""

    def __init__(self, exchange: Exchange, registry: Registry, doorman: Doorman, *, redirect_url: str | None) -> None:
        self._exchange = exchange
        self._doorman = doorman
        self._registry = registry
        self._redirect_url = redirect_url

    def open(self, call: Call) -> Reply:
        """`POST /validate-authcode`: exchanges an auth code for an access token."""
        if call.text("grant_type") != "authorization_code":
            raise FyersError(400, -50, "Invalid grant_type")
        code, given = call.text("code"), call.text("appIdHash")
        account = self._doorman.by_code(code)
        if account is None:
            raise FyersError(400, -50, "Invalid auth code")
        if not hmac.compare_digest(app_id_hash(account).encode(), given.encode()):
            raise FyersError(400, -50, "Invalid app id hash")
        if not self._registry.use_request_token(account, code):
            raise FyersError(400, -50, "Invalid auth code")
        # Its refresh tokens no longer buy anything, but are still handed out.
        token = open_session(account, exchange=self._exchange, registry=self._registry)
        return success(access_token=token, refresh_token=f"{token}.r")

    def refresh(self, call: Call) -> Reply:
        """`POST /validate-refresh-token`: discontinued on 1 April 2026."""
        raise FyersError(400, -50, "Refresh token is discontinued")

    def close(self, call: Call) -> Reply:
        """`POST /logout`."""
        self._registry.end_session(call.account)
        return success(message="you are successfully logged out")

    def profile(self, call: Call) -> Reply:
        """`GET /profile`."""
        user_id = call.account.user_id
        return success(
            data={
                "name": f"Simulated {user_id}",
                "display_name": user_id,
                "fy_id": user_id,
                "image": None,
                "email_id": f"{user_id[:1].lower()}****@example.com",
                "PAN": "A*******",
                "pin_change_date": "01-01-2026 09:00:00",
                "pwd_change_date": None,
                "mobile_number": "9*******",
                "totp": True,
                "pwd_to_expire": 90,
                "ddpi_enabled": False,
                "mtf_enabled": False,
            }
        )

    async def login_page(self, request: web.Request) -> web.Response:
        """`GET /generate-authcode`: a page with one button; `auto=1` presses it."""
        account = self._registry.find(request.query.get("client_id", ""))
        if account is None or request.query.get("response_type") != "code":
            text = _page("<p>Invalid <code>client_id</code> or <code>response_type</code>.</p>")
            return web.Response(status=400, text=text, content_type="text/html")
        if request.query.get("auto") == "1":
            return self._finish(account, dict(request.query))
        return web.Response(text=_page(_form(account, dict(request.query))), content_type="text/html")

    async def login(self, request: web.Request) -> web.Response:
        """`POST /generate-authcode`: the button."""
        given = {name: str(value) for name, value in (await request.post()).items()}
        account = self._registry.find(given.get("client_id", ""))
        if account is None:
            return web.Response(status=400, text=_page("<p>Invalid <code>client_id</code>.</p>"), content_type="text/html")
        return self._finish(account, given)

    def _finish(self, account: Account, given: dict[str, str]) -> web.Response:
        """Back to the address the app registered; an account without one is sent where it asks for."""
        code = self._registry.mint_request_token(account)
        target = account.redirect_url or given.get("redirect_uri") or self._redirect_url
        if not target:
            text = "<p>No redirect address is registered for this app. Its auth code, good for a few minutes:</p>"
            return web.Response(text=_page(f"{text}<pre>{code}</pre>"), content_type="text/html")
        parts = urlsplit(target)
        result = [("s", "ok"), ("code", "200"), ("auth_code", code), ("state", given.get("state", "None"))]
        query = urlencode(parse_qsl(parts.query) + result)
        return web.Response(status=302, headers={"Location": urlunsplit(parts._replace(query=query))})


def _form(account: Account, given: dict[str, str]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(given.get(name, ""), quote=True)}">' for name in _QUERY
    )
    return (
        f"<p>Log in to the simulated broker as <b>{html.escape(account.user_id)}</b>"
        f" for the app <code>{html.escape(account.api_key)}</code>.</p>"
        f'<form method="post">{hidden}<button>Log in</button></form>'
        "<p class=note>No password is asked for: this is a stand-in exchange, no real money is involved.</p>"
    )


def _page(inner: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Log in - simulator</title><style>:root{color-scheme:light dark}"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem}"
        "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#387ed1;color:#fff;cursor:pointer}"
        ".note{opacity:.65;font-size:.9rem}pre{padding:1rem;border-radius:.5rem;background:#8882;overflow:auto}</style>"
        f"<h1>Simulator</h1>{inner}</html>"
    )
