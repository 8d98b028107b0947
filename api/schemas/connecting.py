"""What connecting a broker account takes, broker by broker, and what a login brings.

PINs and one-time codes are used for one call and stored nowhere.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.common import Body
from api.schemas.paper import Terms
from trading.accounts import Credentials, LoginAnswer

_BROKER = AliasChoices("broker", "broker_name")
_ONE_TIME = "used for this one call and never stored"


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _secret(*names: str, longest: int = 400, required: bool = False, description: str, example: str) -> Any:
    """A secret under its own name or, where a broker calls it otherwise, under that one."""
    return Field(
        ... if required else None,
        min_length=1,
        max_length=longest,
        validation_alias=AliasChoices(*names),
        description=description,
        examples=[example],
    )


class _Named(Body):
    label: str = Field("", max_length=100, description="Your own name for it", examples=["My account"])


class _WithPin(_Named):
    pin: SecretStr | None = _secret("pin", longest=16, description=f"The PIN of the broker's app; {_ONE_TIME}", example="1234")
    one_time_code: SecretStr | None = _secret(
        "one_time_code", "totp", longest=12, description=f"From the authenticator app, with `pin`; {_ONE_TIME}", example="123456"
    )

    @model_validator(mode="after")
    def _together(self) -> "_WithPin":
        _check_pin(self.pin, self.one_time_code)
        return self


def _check_pin(pin: SecretStr | None, one_time_code: SecretStr | None) -> None:
    if (pin is None) != (one_time_code is None):
        raise PydanticCustomError("INVALID_INPUT", "pin and one_time_code belong together: send both or neither")


class ConnectZerodha(_Named):
    """Kite Connect: key and secret of your app. `secret_key` and `broker_name` are accepted for `api_secret` and `broker`."""

    broker: str = Field(
        "zerodha",
        validation_alias=_BROKER,
        max_length=24,
        examples=["zerodha"],
        json_schema_extra={"enum": ["zerodha"]},
    )
    api_key: SecretStr = _secret("api_key", longest=200, required=True, description="The app's key", example="kitefront")
    api_secret: SecretStr = _secret("api_secret", "secret_key", required=True, description="The app's secret", example="s3cr3t")
    access_token: SecretStr | None = _secret(
        "access_token", longest=2_000, description="If you have logged in already", example="Xr1..."
    )
    request_token: SecretStr | None = _secret("request_token", description="From the broker's login redirect", example="k3Y...")

    def credentials(self) -> Credentials:
        return Credentials(self.api_key.get_secret_value(), self.api_secret.get_secret_value())

    def answer(self) -> LoginAnswer:
        """A request token counts before an access token."""
        if self.request_token is not None:
            return LoginAnswer(code=_plain(self.request_token))
        return LoginAnswer(access_token=_plain(self.access_token))


class ConnectDhan(_WithPin):
    """DhanHQ: your client id, and one of: an access token made on Dhan's web page; PIN and one-time code; id and secret of an API
    key, whose consent page the answer's `login_url` names (its `tokenId` goes to the session route)."""

    broker: Annotated[Literal["dhan"], BeforeValidator(_lower)] = Field(validation_alias=_BROKER)
    client_id: str = Field(
        min_length=1,
        max_length=60,
        validation_alias=AliasChoices("client_id", "dhan_client_id", "dhanClientId"),
        description="Your Dhan client id",
        examples=["1000000001"],
    )
    access_token: SecretStr | None = _secret(
        "access_token", longest=4_000, description="A token that lives; it ends 24 hours after it was made", example="eyJ..."
    )
    app_id: SecretStr | None = _secret("app_id", "api_key", longest=200, description="Id of an API key", example="9a0e7c3b")
    app_secret: SecretStr | None = _secret(
        "app_secret", "api_secret", "secret_key", description="Secret of that API key", example="s3cr3t"
    )
    token_id: SecretStr | None = _secret("token_id", "tokenId", description="From the consent page's redirect", example="b2f1...")

    @model_validator(mode="after")
    def _key_is_whole(self) -> "ConnectDhan":
        if (self.app_id is None) != (self.app_secret is None):
            raise PydanticCustomError("INVALID_INPUT", "app_id and app_secret belong together: send both or neither")
        if self.token_id is not None and self.app_id is None:
            raise PydanticCustomError("INVALID_INPUT", "token_id is used with the app_id and app_secret it was made for")
        return self

    def credentials(self) -> Credentials:
        return Credentials(_plain(self.app_id) or "", _plain(self.app_secret) or "", broker_user_id=self.client_id)

    def answer(self) -> LoginAnswer:
        return LoginAnswer(
            code=_plain(self.token_id),
            pin=_plain(self.pin),
            one_time_code=_plain(self.one_time_code),
            access_token=_plain(self.access_token),
        )


class ConnectAngelOne(_WithPin):
    """Angel One SmartAPI: the app's API key, your client code, and each morning PIN and one-time code."""

    broker: Annotated[Literal["angel_one"], BeforeValidator(_lower)] = Field(validation_alias=_BROKER)
    api_key: SecretStr = _secret("api_key", longest=200, required=True, description="The app's API key", example="smartKey")
    client_code: str = Field(
        min_length=1,
        max_length=60,
        validation_alias=AliasChoices("client_code", "client_id", "clientcode"),
        description="Your Angel One client code",
        examples=["A123456"],
    )
    access_token: SecretStr | None = _secret(
        "access_token", "jwt_token", "jwtToken", longest=4_000, description="If you have logged in already", example="eyJ..."
    )
    refresh_token: SecretStr | None = _secret(
        "refresh_token", "refreshToken", longest=4_000, description="Comes with the access token", example="eyJ..."
    )
    feed_token: SecretStr | None = _secret(
        "feed_token", "feedToken", longest=4_000, description="Comes with the access token", example="eyJ..."
    )

    def credentials(self) -> Credentials:
        return Credentials(self.api_key.get_secret_value(), "", broker_user_id=self.client_code)

    def answer(self) -> LoginAnswer:
        return LoginAnswer(
            pin=_plain(self.pin),
            one_time_code=_plain(self.one_time_code),
            access_token=_plain(self.access_token),
            refresh_token=_plain(self.refresh_token),
            feed_token=_plain(self.feed_token),
        )


class ConnectFyers(_Named):
    """Fyers API v3: id and secret id of your app. Orders are taken from an app whose id ends in `-200` only."""

    broker: Annotated[Literal["fyers"], BeforeValidator(_lower)] = Field(validation_alias=_BROKER)
    app_id: SecretStr = _secret(
        "app_id", "api_key", "client_id", longest=60, required=True, description="The app's id", example="ABCDEFGHIJ-200"
    )
    secret_id: SecretStr = _secret(
        "secret_id", "api_secret", "secret_key", required=True, description="The app's secret id", example="s3cr3t"
    )
    auth_code: SecretStr | None = _secret(
        "auth_code", longest=4_000, description="From the broker's login redirect", example="eyJ..."
    )
    access_token: SecretStr | None = _secret(
        "access_token", longest=4_000, description="If you have logged in already", example="eyJ..."
    )

    def credentials(self) -> Credentials:
        return Credentials(self.app_id.get_secret_value(), self.secret_id.get_secret_value())

    def answer(self) -> LoginAnswer:
        return LoginAnswer(code=_plain(self.auth_code), access_token=_plain(self.access_token))


class ConnectPaper(Terms):
    """A paper account: no broker, no keys, no login; prices of whatever feed the platform has. Each call opens another one."""

    broker: Annotated[Literal["paper"], BeforeValidator(_lower)] = Field(validation_alias=_BROKER)
    label: str = Field("", max_length=100, description="Your own name for it", examples=["Try"])


_KINDS = ("zerodha", "dhan", "angel_one", "fyers", "paper")


def _kind(value: Any) -> str:
    """Without a name it is Zerodha; an unknown name is refused later, in words of its own."""
    given = value.get("broker", value.get("broker_name")) if isinstance(value, Mapping) else getattr(value, "broker", None)
    name = given.strip().lower() if isinstance(given, str) else "zerodha"
    return name if name in _KINDS else "zerodha"


Connect = Annotated[
    Annotated[ConnectZerodha, Tag("zerodha")]
    | Annotated[ConnectDhan, Tag("dhan")]
    | Annotated[ConnectAngelOne, Tag("angel_one")]
    | Annotated[ConnectFyers, Tag("fyers")]
    | Annotated[ConnectPaper, Tag("paper")],
    Discriminator(_kind),
]


class NewSession(Body):
    """What today's login brought, by broker. Zerodha: `request_token`. Fyers: `auth_code`. Dhan: `pin` and `one_time_code`, or
    `token_id`. Angel One: `pin` and `one_time_code`. At each of them `access_token` for a login made elsewhere."""

    model_config = {"json_schema_extra": {"examples": [{"request_token": "k3Y..."}]}}

    request_token: SecretStr | None = _secret("request_token", description="Zerodha: from the login redirect", example="k3Y...")
    auth_code: SecretStr | None = _secret(
        "auth_code", longest=4_000, description="Fyers: from the login redirect", example="eyJ..."
    )
    token_id: SecretStr | None = _secret(
        "token_id", "tokenId", description="Dhan: from the consent page's redirect", example="b2f1..."
    )
    pin: SecretStr | None = _secret("pin", longest=16, description=f"Dhan and Angel One; {_ONE_TIME}", example="1234")
    one_time_code: SecretStr | None = _secret(
        "one_time_code", "totp", longest=12, description=f"Dhan and Angel One, with `pin`; {_ONE_TIME}", example="123456"
    )
    access_token: SecretStr | None = _secret(
        "access_token", longest=4_000, description="A token that lives, at any broker", example="Xr1..."
    )
    refresh_token: SecretStr | None = _secret(
        "refresh_token", longest=4_000, description="Angel One: comes with the access token", example="eyJ..."
    )
    feed_token: SecretStr | None = _secret(
        "feed_token", longest=4_000, description="Angel One: comes with the access token", example="eyJ..."
    )

    @model_validator(mode="after")
    def _together(self) -> "NewSession":
        _check_pin(self.pin, self.one_time_code)
        return self

    def answer(self) -> LoginAnswer:
        """The redirect's code counts before everything else."""
        code = self.request_token or self.auth_code or self.token_id
        if code is not None:
            return LoginAnswer(code=_plain(code))
        return LoginAnswer(
            pin=_plain(self.pin),
            one_time_code=_plain(self.one_time_code),
            access_token=_plain(self.access_token),
            refresh_token=_plain(self.refresh_token),
            feed_token=_plain(self.feed_token),
        )
