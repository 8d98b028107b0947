"""Login and sessions (Kite Connect v3 documentation, "User": login flow, token exchange, logout, profile)."""

import hashlib
import hmac
import html
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from simulator.clock import india_text
from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import success, token_error
from simulator.dialects.kite.shapes import Row
from simulator.exchange.accounts import Account
from simulator.registry import Registry

_EXCHANGES = ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF"]
_PRODUCTS = ["CNC", "NRML", "MIS", "BO", "CO"]
_ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def checksum(api_key: str, token: str, api_secret: str) -> str:
    """SHA-256 over api_key, token and api_secret, in lower-case hex."""
    return hashlib.sha256(f"{api_key}{token}{api_secret}".encode()).hexdigest()


class SessionEndpoints:
    """Everything about who is logged in."""

    def __init__(self, registry: Registry, *, redirect_url: str | None) -> None:
        self._registry = registry
        self._redirect_url = redirect_url

    def open(self, call: Call) -> Reply:
        """`POST /session/token`: exchanges a request token for an access token."""
        request_token, given = call.required("request_token"), call.required("checksum")
        account = self._registry.find(call.required("api_key"))
        if account is None:
            raise token_error("Invalid `api_key`.")
        wanted = checksum(account.api_key, request_token, account.api_secret)
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise token_error("Invalid `checksum`.")
        if not self._registry.use_request_token(account, request_token):
            raise token_error("Token is invalid or has expired.")
        access_token = self._registry.open_session(account)
        return success(
            profile(account)
            | {
                "api_key": account.api_key,
                "access_token": access_token,
                "public_token": checksum(account.api_key, access_token, "public")[:32],
                "enctoken": checksum(account.api_key, access_token, "enc"),
                "refresh_token": "",
                "silo": "",
                "login_time": india_text(account.login_ns),
            }
        )

    def close(self, call: Call) -> Reply:
        """`DELETE /session/token?api_key=&access_token=`."""
        account = self._registry.authenticate(call.required("api_key"), call.required("access_token"))
        if account is None:
            raise token_error()
        self._registry.end_session(account)
        return success(True)

    def refresh(self, call: Call) -> Reply:
        """`POST /session/refresh_token`: only approved platforms get refresh tokens; nobody here is one."""
        call.required("refresh_token")
        raise token_error("Invalid `refresh_token`.")

    def profile(self, call: Call) -> Reply:
        """`GET /user/profile`."""
        return success(profile(call.account))

    async def login_page(self, request: web.Request) -> web.Response:
        """`GET /connect/login?v=3&api_key=`: a page with one button; `auto=1` presses it."""
        account = self._registry.find(request.query.get("api_key", ""))
        if account is None or request.query.get("v") != "3":
            text = _page("<p>Invalid <code>api_key</code> or version.</p>")
            return web.Response(status=400, text=text, content_type="text/html")
        if request.query.get("auto") == "1":
            return self._finish(account, request.query.get("redirect_params", ""))
        return web.Response(text=_page(_form(account, request)), content_type="text/html")

    async def login(self, request: web.Request) -> web.Response:
        """`POST /connect/login`: the button."""
        form = await request.post()
        account = self._registry.find(str(form.get("api_key", "")))
        if account is None:
            return web.Response(status=400, text=_page("<p>Invalid <code>api_key</code>.</p>"), content_type="text/html")
        return self._finish(account, str(form.get("redirect_params", "")))

    def _finish(self, account: Account, redirect_params: str) -> web.Response:
        token = self._registry.mint_request_token(account)
        result = [("request_token", token), ("action", "login"), ("type", "login"), ("status", "success")]
        target = account.redirect_url or self._redirect_url
        if not target:
            text = "<p>No redirect address is registered for this key. Its request token, good for a few minutes:</p>"
            return web.Response(text=_page(f"{text}<pre>{token}</pre>"), content_type="text/html")
        parts = urlsplit(target)
        query = parse_qsl(parts.query) + parse_qsl(redirect_params, keep_blank_values=True) + result
        return web.Response(status=302, headers={"Location": urlunsplit(parts._replace(query=urlencode(query)))})


def profile(account: Account) -> Row:
    """The user object."""
    return {
        "user_id": account.user_id,
        "user_type": "individual",
        "email": f"{account.user_id.lower()}@example.com",
        "user_name": f"Simulated {account.user_id}",
        "user_shortname": account.user_id,
        "broker": "ZERODHA",
        "exchanges": _EXCHANGES,
        "products": _PRODUCTS,
        "order_types": _ORDER_TYPES,
        "avatar_url": None,
        "meta": {"demat_consent": "physical"},
    }


def _form(account: Account, request: web.Request) -> str:
    params = html.escape(request.query.get("redirect_params", ""), quote=True)
    return (
        f"<p>Log in to the simulated broker as <b>{html.escape(account.user_id)}</b>"
        f" for the app <code>{html.escape(account.api_key)}</code>.</p>"
        f'<form method="post" action="/connect/login"><input type="hidden" name="api_key" value="{html.escape(account.api_key)}">'
        f'<input type="hidden" name="redirect_params" value="{params}"><button>Log in</button></form>'
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
