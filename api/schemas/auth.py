"""Registering, logging in, and who one is."""

from collections.abc import Sequence
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api import passwords
from api.roles import Scope
from api.schemas.common import Answer, Body, Count, Instant, YesNo
from storage.models import Role


def _email(value: str) -> str:
    try:
        # Only the form is checked: addresses of internal domains are as good as any.
        checked = validate_email(value, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise PydanticCustomError("INVALID_EMAIL", "is not a valid e-mail address") from error
    return checked.normalized.lower()


def _password(value: str) -> str:
    if not passwords.SHORTEST <= len(value) <= passwords.LONGEST:
        message = f"must have between {passwords.SHORTEST} and {passwords.LONGEST} characters"
        raise PydanticCustomError("WEAK_PASSWORD", message)
    return value


Email = Annotated[str, AfterValidator(_email), Field(max_length=320, examples=["asha@example.com"])]
# As typed: a leading or trailing space belongs to the password.
RawText = Annotated[str, StringConstraints(strip_whitespace=False)]
NewPassword = Annotated[RawText, AfterValidator(_password), Field(examples=["correct horse battery staple"])]


Code = Annotated[
    str | None, Field(max_length=40, description="Of the authenticator app, or a recovery code; if the second factor is on")
]


class Register(Body):
    email: Email
    password: NewPassword
    name: str = Field("", max_length=200, examples=["Asha Rao"])


class Login(Body):
    email: str = Field(max_length=320, examples=["asha@example.com"])
    password: RawText = Field(max_length=1_000, examples=["correct horse battery staple"])
    code: Code = None


class Proof(Body):
    """Who they are, once more: for what outlives a session, or changes how one logs in."""

    password: RawText = Field(max_length=1_000, examples=["correct horse battery staple"])
    code: Code = None


class ChangePassword(Body):
    current_password: RawText = Field(max_length=1_000, examples=["correct horse battery staple"])
    new_password: NewPassword
    code: Code = None


class PasswordChanged(Answer):
    status: Literal["changed"] = "changed"


class SessionAnswer(Answer):
    """One login, on one device; its refreshes belong to it."""

    session_id: str = Field(examples=["fam_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    is_current: bool = Field(description="The one that asks")
    began_at: Instant
    refreshed_at: Instant = Field(description="When it last got new tokens")
    expires_at: Instant
    address: str = Field(description="Where it was last refreshed from", examples=["203.0.113.7"])
    user_agent: str = Field(description="What that device said it is")


class Sessions(Answer):
    items: Sequence[SessionAnswer]


class SessionEnded(Answer):
    session_id: str
    status: Literal["ended"] = "ended"


class SecondFactorBegun(Answer):
    """Not on yet: it is from the confirmation with a code on."""

    secret: str = Field(description="For typing in; shown this once", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    uri: str = Field(description="For the QR code that authenticator apps read", examples=["otpauth://totp/..."])


class Confirm(Body):
    code: str = Field(max_length=40, description="What the app shows now", examples=["287082"])


class RecoveryCodes(Answer):
    recovery_codes: Sequence[str] = Field(description="Each works once in place of a code; shown this once")


class SecondFactorOff(Answer):
    status: Literal["off"] = "off"


class NewApiKey(Proof):
    name: str = Field(min_length=1, max_length=100, description="What it is for", examples=["My server in Mumbai"])
    scopes: Sequence[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read", "trade"]])
    expires_in_days: Count | None = Field(None, ge=1, le=3_650, description="Left out: it works until it is revoked")


class ApiKeyAnswer(Answer):
    key_id: str = Field(examples=["key_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    name: str
    beginning: str = Field(description="Its first characters, to tell keys apart", examples=["ak_Xq3v9Zb1"])
    scopes: Sequence[Scope]
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None = Field(description="To the minute")


class ApiKeyMade(ApiKeyAnswer):
    api_key: str = Field(description="Send it as `X-API-Key`; shown this once")


class ApiKeys(Answer):
    items: Sequence[ApiKeyAnswer]


class ApiKeyRevoked(Answer):
    key_id: str
    status: Literal["revoked"] = "revoked"


class Refresh(Body):
    refresh_token: str = Field(max_length=200, examples=["rt_6mWl..."])


class Logout(Body):
    everywhere: YesNo = Field(False, description="End every session of yours, on all devices")


class Tokens(Answer):
    """`token` and `access_token` are the same; send it as `Authorization: Bearer ...`."""

    user_id: str = Field(examples=["usr_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    token: str
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds the access token lives", examples=[900])
    refresh_token: str = Field(description="Good for one refresh; the answer brings the next one")


class LoggedOut(Answer):
    status: Literal["logged_out"] = "logged_out"


class Me(Answer):
    user_id: str
    email: str
    name: str
    role: Role
    broker: str | None = Field(None, description="For staff of a broker: which one")
    created_at: Instant
    second_factor: bool = Field(False, description="Whether logging in needs a code")
    recovery_codes_left: int = Field(0, description="Recovery codes that were not used yet")
