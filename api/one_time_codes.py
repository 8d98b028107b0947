"""One-time codes as authenticator apps show them: RFC 6238 (TOTP) over RFC 4226 (HOTP), SHA-1, six digits, thirty seconds.

SHA-1 is what every app understands; in HMAC its weaknesses do not matter.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote

PERIOD_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 section 4
# A phone's clock may be one step off, either way (RFC 6238 section 5.2).
STEPS_OFF = (-1, 0, 1)


def new_secret() -> str:
    """160 random bits as the base32 that apps take."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def step_at(moment: datetime) -> int:
    return int(moment.timestamp()) // PERIOD_SECONDS


def code_of(secret: str, step: int) -> str:
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: str, code: str, *, now: datetime, after: int | None) -> int | None:
    """The step the code belongs to, if it is one of today's three and later than `after`: a code works once. Every candidate is
    compared, whole, so that the time taken tells nothing."""
    found = None
    for step in (step_at(now) + off for off in STEPS_OFF):
        fits = hmac.compare_digest(code_of(secret, step).encode(), code.encode())
        if fits and (after is None or step > after):
            found = step
    return found


def enrolment_uri(secret: str, *, email: str, issuer: str) -> str:
    """What an authenticator app reads from a QR code (Google's key URI format, which all apps follow)."""
    label = f"{quote(issuer)}:{quote(email)}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&algorithm=SHA1&digits={DIGITS}&period={PERIOD_SECONDS}"
