"""The wall between live and simulated accounts: the host of the URL and the type of the adapter must agree."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from trading.accounts import Environment


def check_environment(environment: Environment, *, api_url: str, own_domains: Sequence[str]) -> None:
    """Raises ValueError for a simulated account at the broker's own servers, or a live one elsewhere or without TLS."""
    parts = urlsplit(api_url)
    host = (parts.hostname or "").rstrip(".")
    own = any(host == domain or host.endswith("." + domain) for domain in own_domains)
    if environment is Environment.SIMULATED and own:
        raise ValueError(f"a simulated account must not use {host}, the broker's own server")
    if environment is Environment.LIVE and not (own and parts.scheme == "https"):
        raise ValueError("a live account uses the broker's own server, over https")
