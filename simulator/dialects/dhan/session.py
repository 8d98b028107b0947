"""The login calls (DhanHQ v2 documentation, "Authentication"): PIN and one-time code, consent page, renewal, profile."""

import html
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from simulator.clock import india_text
from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.call import Call
from simulator.dialects.dhan.errors import bad_login, dead_token
from simulator.dialects.dhan.orders import answer
from simulator.dialects.dhan.sessions import Sessions
from simulator.exchange.accounts import Account
from simulator.registry import Registry

PIN = "123456"  # everybody's
WRONG_CODE = "000000"
"""The one one-time code that is never right; any other six digits are, once."""
_CODE_LENGTH = 6


class SessionEndpoints:
    """Everything about who is logged in."""

    def __init__(self, sessions: Sessions, registry: Registry, *, redirect_url: str | None) -> None:
        self._sessions = sessions
        self._registry = registry
        self._redirect_url = redirect_url
        self._consents: dict[str, str] = {}
        self._used_codes: set[tuple[str, str]] = set()

    def by_pin(self, call: Call) -> Reply:
        """`POST /app/generateAccessToken?dhanClientId=&pin=&totp=`."""
        query = call.request.query
        account = self._sessions.of_client(query.get("dhanClientId", ""))
        if account is None:
            raise bad_login("Invalid dhanClientId")
        if query.get("pin") != PIN:
            raise bad_login("Invalid Pin")
        code = query.get("totp", "")
        used = (account.api_key, code)
        if len(code) != _CODE_LENGTH or not code.isdigit() or code == WRONG_CODE or used in self._used_codes:
            raise bad_login("Invalid TOTP")
        self._used_codes.add(used)
        return self._logged_in(account)

    def ask_consent(self, call: Call) -> Reply:
        """`POST /app/generate-consent?client_id=` with the app's headers."""
        account = self._app(call)
        if self._sessions.of_client(call.request.query.get("client_id", "")) is not account:
            raise bad_login("Invalid client_id")
        consent = secrets.token_hex(16)
        self._consents[consent] = account.api_key
        return answer({"consentAppId": consent, "consentAppStatus": "GENERATED", "status": "success"})

    def consume_consent(self, call: Call) -> Reply:
        """`GET` or `POST /app/consumeApp-consent?tokenId=` with the app's headers."""
        account = self._app(call)
        if not self._registry.use_request_token(account, call.request.query.get("tokenId", "")):
            raise bad_login("Invalid or used tokenId")
        return self._logged_in(account)

    def renew(self, call: Call) -> Reply:
        """`GET /RenewToken`: the client says who it is in a header of its own."""
        if call.header("dhanClientId") != call.account.user_id:
            raise dead_token()
        return self._logged_in(call.account)

    def profile(self, call: Call) -> Reply:
        """`GET /profile`."""
        date, clock = india_text(call.account.access_token_expires_ns).split(" ")
        return answer({
            "dhanClientId": call.account.user_id, "tokenValidity": "/".join(reversed(date.split("-"))) + f" {clock[:5]}",
            "activeSegment": "Equity, Derivative, Currency, Commodity", "ddpi": "Active", "mtf": "Active", "dataPlan": "Active",
            "dataValidity": f"{date} {clock}.0",
        })  # fmt: skip

    async def login_page(self, request: web.Request) -> web.Response:
        """`GET /login/consentApp-login?consentAppId=`: a page with one button; `auto=1` presses it."""
        account = self._registry.find(self._consents.get(request.query.get("consentAppId", ""), ""))
        if account is None:
            return web.Response(status=400, text=_page("<p>Invalid <code>consentAppId</code>.</p>"), content_type="text/html")
        if request.query.get("auto") == "1":
            return self._finish(account)
        return web.Response(text=_page(_form(account, request.query["consentAppId"])), content_type="text/html")

    async def login(self, request: web.Request) -> web.Response:
        """`POST` on the same page: the button."""
        form = await request.post()
        account = self._registry.find(self._consents.pop(str(form.get("consentAppId", "")), ""))
        if account is None:
            return web.Response(status=400, text=_page("<p>Invalid <code>consentAppId</code>.</p>"), content_type="text/html")
        return self._finish(account)

    def _finish(self, account: Account) -> web.Response:
        token = self._registry.mint_request_token(account)
        target = account.redirect_url or self._redirect_url
        if not target:
            text = (
                f"<p>No redirect address is registered for this key. Its tokenId, good for a few minutes:</p><pre>{token}</pre>"
            )
            return web.Response(text=_page(text), content_type="text/html")
        parts = urlsplit(target)
        query = urlencode([*parse_qsl(parts.query), ("tokenId", token)])
        return web.Response(status=302, headers={"Location": urlunsplit(parts._replace(query=query))})

    def _app(self, call: Call) -> Account:
        account = self._sessions.of_app(call.header("app_id"), call.header("app_secret"))
        if account is None:
            raise bad_login("Invalid app_id or app_secret")
        return account

    def _logged_in(self, account: Account) -> Reply:
        self._sessions.issue(account)
        return answer(self._sessions.answer(account))


def _form(account: Account, consent: str) -> str:
    return (
        f"<p>Log in to the simulated broker as <b>{html.escape(account.user_id)}</b>.</p>"
        f'<form method="post"><input type="hidden" name="consentAppId" value="{html.escape(consent, quote=True)}">'
        "<button>Log in</button></form>"
        "<p>No password is asked for: this is a stand-in exchange, no real money is involved.</p>"
    )


def _page(inner: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Log in - simulator</title><style>:root{color-scheme:light dark}"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem}</style>"
        f"<h1>Simulator</h1>{inner}</html>"
    )
