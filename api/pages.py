"""The few pages this API shows to people: where a browser comes back from a broker's login, or opens the link of a message."""

import html

from fastapi import Request
from fastapi.responses import HTMLResponse

from api.errors import ApiError

# Opened by browsers, by their operation ids. Whoever asks for HTML there is told in HTML what went wrong, too.
BROWSED = frozenset({"brokerLoginCallback", "openBrokerLogin"})


def logged_in() -> HTMLResponse:
    return _page("Logged in", "<p>The broker account is connected. You can close this window.</p>")


def one_step_left(code: str) -> HTMLResponse:
    told = "<p>Give this code to the app where you began (<code>token_id</code>); it works once:</p>"
    return _page("One step left", f"{told}\n<pre>{html.escape(code)}</pre>")


def not_logged_in(error: ApiError, *, request_id: str | None) -> HTMLResponse:
    """`error` may carry a broker's own words."""
    said = error.message.rstrip(".")
    lines = [
        f"<p>{html.escape(said[:1].upper() + said[1:])}.</p>",
        "<p>Nothing was changed. Go back to the app and begin the login there once more.</p>",
        f"<p><small>{error.code.value} {html.escape(request_id or '')}</small></p>",
    ]
    return _page("Not logged in", "\n".join(lines), status=error.status)


def is_wanted(request: Request) -> bool:
    """Whether it is a browser that asks, at an address made for browsers."""
    if getattr(request.scope.get("route"), "operation_id", None) not in BROWSED:
        return False
    ranges = (part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(","))
    return "text/html" in ranges


def _page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{body}</body></html>"""
    return HTMLResponse(page, status_code=status)
