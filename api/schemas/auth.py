"""Registering, logging in, and who one is."""

from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api import passwords
from api.schemas.common import Answer, Body, Instant
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


class Register(Body):
    email: Email
    password: NewPassword
    name: str = Field("", max_length=200, examples=["Asha Rao"])


class Login(Body):
    email: str = Field(max_length=320, examples=["asha@example.com"])
    password: RawText = Field(max_length=1_000, examples=["correct horse battery staple"])


class Refresh(Body):
    refresh_token: str = Field(max_length=200, examples=["rt_6mWl..."])


class Logout(Body):
    everywhere: bool = Field(False, description="End every session of yours, on all devices")


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
