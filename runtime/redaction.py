"""What must not be read in logs: by the type of a value, by its name, and by its look inside text."""

import re
from collections.abc import Mapping, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum

from pydantic import SecretBytes, SecretStr

HIDDEN = "..."
_DEEPEST = 6
_HARMLESS = (bool, int, float, Decimal, date, time, timedelta, Enum)  # a datetime is a date

_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|token|api_?key|authorization|checksum|credential|cookie|totp|jwt|signature|(?:^|_)m?pin(?:$|_)|otp$",
    re.IGNORECASE,
)
# Only a text with one of these is looked at more closely: most lines have none.
_HINT = re.compile(r"token|key|secret|passw|pin|otp|auth|bearer|hash|eyJ|rt_|ak_|://", re.IGNORECASE)
_NAMES = (
    r"[a-z_\-]*(?:access|request|refresh|auth|feed|jwt|enc|session)_?token|token_?id|api[_-]?key|[a-z_]*secret(?:_?key)?|"
    r"passw(?:or)?d|totp|otp|m?pin|app_?id_?hash|checksum|x-privatekey"
)
_LOOKS: Sequence[tuple[re.Pattern[str], str]] = (
    # Authorization: Bearer abc, Authorization: token key:token; whatever the scheme, to the end of the header.
    (re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n,}\])]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # access_token=abc, "api_key": "abc", password: abc
    (re.compile(rf"(?<![a-z])((?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}})\]]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Bearer abc1, token key1:token; a word with a digit, or it is prose.
    (re.compile(r"\b(bearer|token)\s+(?=\S*\d)[A-Za-z0-9._~+/=:\-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # Signed tokens, our refresh tokens and API keys, secrets of authenticator apps.
    (re.compile(r"\beyJ[\w\-]{5,}\.[\w\-]{5,}\.[\w\-]*|\b(?:rt|ak)_[A-Za-z0-9_\-]{20,}|otpauth://\S+"), HIDDEN),
    # The password of an address; what follows the scheme of a notification target is all credential.
    (re.compile(r"(\b[a-z][a-z0-9+.\-]*://[^/\s:@\"']*:)[^/\s@\"']+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (re.compile(r"\b((?:tgram|slack|discord|pover|pbul)://)[^\s\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
)


def hidden(name: str, value: object, depth: int = 0) -> object:
    """The value as it may be logged under that name. A number is no secret: `tokens=3` counts them."""
    if value is None or isinstance(value, _HARMLESS):
        return value
    if isinstance(value, SecretStr | SecretBytes) or _SECRET_NAME.search(name) or depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, str):
        return hidden_text(value)
    if isinstance(value, Mapping):
        return {key: hidden(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return [hidden(name, inner, depth + 1) for inner in value]
    return hidden_text(repr(value))


def hidden_text(text: str) -> str:
    """The text without what looks like a credential in it."""
    if _HINT.search(text) is None:
        return text
    for look, instead in _LOOKS:
        text = look.sub(instead, text)
    return text
