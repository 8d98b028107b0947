"""Every error this API can answer: one enum, one table, one shape. docs/api.md carries the same table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel, Field


class ErrorCode(str, Enum):
    # 400: well-formed but unacceptable
    MALFORMED_JSON = "MALFORMED_JSON"
    INVALID_VALUE = "INVALID_VALUE"
    INVALID_TEXT = "INVALID_TEXT"
    INVALID_TIME = "INVALID_TIME"
    INVALID_EMAIL = "INVALID_EMAIL"
    WEAK_PASSWORD = "WEAK_PASSWORD"  # noqa: S105 - the name of an error
    INVALID_CURSOR = "INVALID_CURSOR"
    TARGET_NOT_ALLOWED = "TARGET_NOT_ALLOWED"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    QUANTITY_NOT_IN_LOTS = "QUANTITY_NOT_IN_LOTS"
    QUANTITY_ABOVE_FREEZE = "QUANTITY_ABOVE_FREEZE"
    INVALID_STOP_LOSS = "INVALID_STOP_LOSS"
    STOP_LOSS_OFF_TICK = "STOP_LOSS_OFF_TICK"
    INVALID_TARGET_PRICE = "INVALID_TARGET_PRICE"
    TARGET_PRICE_OFF_TICK = "TARGET_PRICE_OFF_TICK"
    TARGET_NOT_ABOVE_STOP = "TARGET_NOT_ABOVE_STOP"
    INVALID_TRAILING_STOP = "INVALID_TRAILING_STOP"
    BUY_BEFORE_OPEN = "BUY_BEFORE_OPEN"
    SELL_AFTER_CLOSE = "SELL_AFTER_CLOSE"
    BUY_NOT_BEFORE_SELL = "BUY_NOT_BEFORE_SELL"
    PRODUCT_NOT_ALLOWED = "PRODUCT_NOT_ALLOWED"
    NOT_TRADABLE = "NOT_TRADABLE"
    INVALID_MAX_LATENESS = "INVALID_MAX_LATENESS"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    BROKER_AUTH_FAILED = "BROKER_AUTH_FAILED"
    BROKER_NOT_SUPPORTED = "BROKER_NOT_SUPPORTED"
    LOGIN_STATE_INVALID = "LOGIN_STATE_INVALID"
    BAD_DATA_FILE = "BAD_DATA_FILE"
    NO_SUCH_DAY = "NO_SUCH_DAY"
    TOO_MANY_COMBINATIONS = "TOO_MANY_COMBINATIONS"
    # 401
    UNAUTHENTICATED = "UNAUTHENTICATED"
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - the name of an error
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - the name of an error
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    SECOND_FACTOR_REQUIRED = "SECOND_FACTOR_REQUIRED"
    SECOND_FACTOR_INVALID = "SECOND_FACTOR_INVALID"
    API_KEY_INVALID = "API_KEY_INVALID"
    REFRESH_TOKEN_INVALID = "REFRESH_TOKEN_INVALID"  # noqa: S105 - the name of an error
    REFRESH_TOKEN_REUSED = "REFRESH_TOKEN_REUSED"  # noqa: S105 - the name of an error
    # 403
    FORBIDDEN = "FORBIDDEN"
    API_KEY_SCOPE = "API_KEY_SCOPE"
    USER_SUSPENDED = "USER_SUSPENDED"
    UNRELATED_LIVE_ACCOUNT = "UNRELATED_LIVE_ACCOUNT"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    # 404, 405
    NOT_FOUND = "NOT_FOUND"
    STRATEGY_NOT_FOUND = "STRATEGY_NOT_FOUND"
    BROKER_NOT_FOUND = "BROKER_NOT_FOUND"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    ALERT_NOT_FOUND = "ALERT_NOT_FOUND"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    PLAYGROUND_DATA_NOT_FOUND = "PLAYGROUND_DATA_NOT_FOUND"
    PLAYGROUND_RESULT_NOT_FOUND = "PLAYGROUND_RESULT_NOT_FOUND"
    TARGET_NOT_FOUND = "TARGET_NOT_FOUND"
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    # 409
    EMAIL_TAKEN = "EMAIL_TAKEN"
    BROKER_NOT_CONNECTED = "BROKER_NOT_CONNECTED"
    BROKER_CHOICE_NEEDED = "BROKER_CHOICE_NEEDED"
    BROKER_ALREADY_CONNECTED = "BROKER_ALREADY_CONNECTED"
    BROKER_IN_USE = "BROKER_IN_USE"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    NOT_RUNNING = "NOT_RUNNING"
    STRATEGY_RUNNING = "STRATEGY_RUNNING"
    STRATEGY_CHANGED = "STRATEGY_CHANGED"
    PRICE_AT_OR_BELOW_STOP = "PRICE_AT_OR_BELOW_STOP"
    PRICE_AT_OR_ABOVE_TARGET = "PRICE_AT_OR_ABOVE_TARGET"
    BACKUP_STOP_NOT_SUPPORTED = "BACKUP_STOP_NOT_SUPPORTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    NO_TRADING_DAY = "NO_TRADING_DAY"
    KILL_SWITCH_ENGAGED = "KILL_SWITCH_ENGAGED"
    KILL_SWITCH_NOT_ENGAGED = "KILL_SWITCH_NOT_ENGAGED"
    RISK_LIMIT_ORDER_VALUE = "RISK_LIMIT_ORDER_VALUE"
    RISK_LIMIT_OPEN_VALUE = "RISK_LIMIT_OPEN_VALUE"
    RISK_LIMIT_ORDERS_PER_DAY = "RISK_LIMIT_ORDERS_PER_DAY"
    RISK_LIMIT_DAILY_LOSS = "RISK_LIMIT_DAILY_LOSS"
    RUN_ENDED = "RUN_ENDED"
    EXIT_HAS_BEGUN = "EXIT_HAS_BEGUN"
    SELL_TIME_PASSED = "SELL_TIME_PASSED"
    SELL_NOT_AFTER_BUY = "SELL_NOT_AFTER_BUY"
    STOP_ABOVE_PRICE = "STOP_ABOVE_PRICE"
    STOP_BELOW_TRAIL = "STOP_BELOW_TRAIL"
    TARGET_BELOW_PRICE = "TARGET_BELOW_PRICE"
    TARGET_BELOW_STOP = "TARGET_BELOW_STOP"
    LAST_ADMIN = "LAST_ADMIN"
    TOO_MANY_TARGETS = "TOO_MANY_TARGETS"
    PUSH_NOT_SET_UP = "PUSH_NOT_SET_UP"
    HISTORY_NOT_KEPT = "HISTORY_NOT_KEPT"
    SECOND_FACTOR_ON = "SECOND_FACTOR_ON"
    SECOND_FACTOR_OFF = "SECOND_FACTOR_OFF"
    TOO_MANY_API_KEYS = "TOO_MANY_API_KEYS"
    USER_HAS_OPEN_RUNS = "USER_HAS_OPEN_RUNS"
    MAINTENANCE = "MAINTENANCE"
    BROKER_SWITCHED_OFF = "BROKER_SWITCHED_OFF"
    FEATURE_SWITCHED_OFF = "FEATURE_SWITCHED_OFF"
    PLAYGROUND_BUSY = "PLAYGROUND_BUSY"
    PLAYGROUND_FULL = "PLAYGROUND_FULL"
    RESULT_NOT_OVER = "RESULT_NOT_OVER"
    RESULT_OVER = "RESULT_OVER"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    REQUEST_IN_PROGRESS = "REQUEST_IN_PROGRESS"
    # 413, 422, 429
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    INVALID_INPUT = "INVALID_INPUT"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_MANY_LOGINS = "TOO_MANY_LOGINS"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    # 500, 503
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    TEMPORAL_UNAVAILABLE = "TEMPORAL_UNAVAILABLE"
    BROKER_UNAVAILABLE = "BROKER_UNAVAILABLE"
    PRICE_UNAVAILABLE = "PRICE_UNAVAILABLE"
    INSTRUMENTS_NOT_LOADED = "INSTRUMENTS_NOT_LOADED"
    CALENDAR_UNKNOWN = "CALENDAR_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Meaning:
    status: int
    text: str


MEANINGS: Mapping[ErrorCode, Meaning] = {
    ErrorCode.MALFORMED_JSON: Meaning(400, "The body is not JSON"),
    ErrorCode.INVALID_VALUE: Meaning(400, "A field has the right type and an unacceptable value"),
    ErrorCode.INVALID_TEXT: Meaning(400, "A text holds characters that cannot be stored"),
    ErrorCode.INVALID_TIME: Meaning(400, "A time is not HH:MM:SS between 00:00:00 and 23:59:59"),
    ErrorCode.INVALID_EMAIL: Meaning(400, "The e-mail address is not valid"),
    ErrorCode.WEAK_PASSWORD: Meaning(400, "The password is too short, too long, or the e-mail address itself"),
    ErrorCode.INVALID_CURSOR: Meaning(400, "The cursor or Last-Event-ID was not made by this API"),
    ErrorCode.TARGET_NOT_ALLOWED: Meaning(400, "A message must not be sent to that address from here"),
    ErrorCode.INVALID_QUANTITY: Meaning(400, "The quantity is not positive, or beyond anything an exchange takes"),
    ErrorCode.QUANTITY_NOT_IN_LOTS: Meaning(400, "The quantity is not a multiple of the lot size"),
    ErrorCode.QUANTITY_ABOVE_FREEZE: Meaning(400, "The quantity is above the exchange's freeze quantity"),
    ErrorCode.INVALID_STOP_LOSS: Meaning(400, "The stop-loss is not a positive price"),
    ErrorCode.STOP_LOSS_OFF_TICK: Meaning(400, "The stop-loss is not a multiple of the tick size"),
    ErrorCode.INVALID_TARGET_PRICE: Meaning(400, "The target is not a positive price"),
    ErrorCode.TARGET_PRICE_OFF_TICK: Meaning(400, "The target is not a multiple of the tick size"),
    ErrorCode.TARGET_NOT_ABOVE_STOP: Meaning(400, "The target is not above the stop-loss"),
    ErrorCode.INVALID_TRAILING_STOP: Meaning(400, "The distance at which the stop trails is none, or is given twice"),
    ErrorCode.BUY_BEFORE_OPEN: Meaning(400, "The buy time is before the market opens"),
    ErrorCode.SELL_AFTER_CLOSE: Meaning(400, "The sell time is after the session ends"),
    ErrorCode.BUY_NOT_BEFORE_SELL: Meaning(400, "The buy time is not before the effective sell time"),
    ErrorCode.PRODUCT_NOT_ALLOWED: Meaning(400, "The product does not fit the instrument"),
    ErrorCode.NOT_TRADABLE: Meaning(400, "The instrument cannot be traded, such as an index"),
    ErrorCode.INVALID_MAX_LATENESS: Meaning(400, "The greatest lateness is negative"),
    ErrorCode.UNKNOWN_SYMBOL: Meaning(400, "The symbol is not listed on that exchange"),
    ErrorCode.BROKER_AUTH_FAILED: Meaning(400, "The broker did not accept the credentials or the login"),
    ErrorCode.BROKER_NOT_SUPPORTED: Meaning(400, "This installation cannot trade with that broker"),
    ErrorCode.LOGIN_STATE_INVALID: Meaning(400, "The login redirect does not belong to a login started here, or came too late"),
    ErrorCode.BAD_DATA_FILE: Meaning(
        400, "The file of prices cannot be used; the details name the lines and what is wrong with them"
    ),
    ErrorCode.NO_SUCH_DAY: Meaning(400, "The prices do not reach to that day"),
    ErrorCode.TOO_MANY_COMBINATIONS: Meaning(400, "More plans, or more plans times days, than one backtest takes"),
    ErrorCode.UNAUTHENTICATED: Meaning(401, "No access token was sent"),
    ErrorCode.TOKEN_INVALID: Meaning(401, "The access token is not one of ours, or its session has ended"),
    ErrorCode.TOKEN_EXPIRED: Meaning(401, "The access token has expired; refresh it"),
    ErrorCode.INVALID_CREDENTIALS: Meaning(401, "E-mail address or password are wrong"),
    ErrorCode.SECOND_FACTOR_REQUIRED: Meaning(401, "The password is right; send the `code` of the authenticator app as well"),
    ErrorCode.SECOND_FACTOR_INVALID: Meaning(401, "The code is wrong, too old or used before"),
    ErrorCode.API_KEY_INVALID: Meaning(401, "The API key is not one of ours, has expired or was revoked"),
    ErrorCode.REFRESH_TOKEN_INVALID: Meaning(401, "The refresh token is unknown, expired or revoked; log in"),
    ErrorCode.REFRESH_TOKEN_REUSED: Meaning(401, "The refresh token was used before; its whole session has been ended"),
    ErrorCode.FORBIDDEN: Meaning(403, "The role does not allow this"),
    ErrorCode.API_KEY_SCOPE: Meaning(403, "The API key has not the scope this needs, or no key may do this"),
    ErrorCode.USER_SUSPENDED: Meaning(403, "The user is suspended"),
    ErrorCode.UNRELATED_LIVE_ACCOUNT: Meaning(403, "Another user has a live account here; one installation serves one family"),
    ErrorCode.BAD_SIGNATURE: Meaning(403, "The message is not signed with the account's secret"),
    ErrorCode.NOT_FOUND: Meaning(404, "There is nothing at this address"),
    ErrorCode.STRATEGY_NOT_FOUND: Meaning(404, "No such strategy of yours"),
    ErrorCode.BROKER_NOT_FOUND: Meaning(404, "No such broker account of yours"),
    ErrorCode.ORDER_NOT_FOUND: Meaning(404, "No such order of yours"),
    ErrorCode.ALERT_NOT_FOUND: Meaning(404, "No such alert of yours"),
    ErrorCode.USER_NOT_FOUND: Meaning(404, "No such user"),
    ErrorCode.PLAYGROUND_DATA_NOT_FOUND: Meaning(404, "No such prices of yours"),
    ErrorCode.PLAYGROUND_RESULT_NOT_FOUND: Meaning(404, "No such simulation or backtest of yours"),
    ErrorCode.TARGET_NOT_FOUND: Meaning(404, "No such notification target of yours"),
    ErrorCode.DEVICE_NOT_FOUND: Meaning(404, "No such device of yours"),
    ErrorCode.SESSION_NOT_FOUND: Meaning(404, "No such session of yours that is alive"),
    ErrorCode.API_KEY_NOT_FOUND: Meaning(404, "No such API key of yours that works"),
    ErrorCode.METHOD_NOT_ALLOWED: Meaning(405, "The address exists, the method does not"),
    ErrorCode.EMAIL_TAKEN: Meaning(409, "A user with that e-mail address exists"),
    ErrorCode.BROKER_NOT_CONNECTED: Meaning(409, "There is no broker account with a session that is alive; connect or log in"),
    ErrorCode.BROKER_CHOICE_NEEDED: Meaning(409, "There are several broker accounts; say which one with broker_id"),
    ErrorCode.BROKER_ALREADY_CONNECTED: Meaning(409, "That broker user is connected as another account of yours already"),
    ErrorCode.BROKER_IN_USE: Meaning(409, "A running strategy trades with this broker account"),
    ErrorCode.ALREADY_RUNNING: Meaning(409, "The strategy is running already"),
    ErrorCode.NOT_RUNNING: Meaning(409, "The strategy is not running"),
    ErrorCode.STRATEGY_RUNNING: Meaning(409, "A running strategy cannot be edited or deleted; stop it first"),
    ErrorCode.STRATEGY_CHANGED: Meaning(409, "The strategy was changed while it was being started; start it again"),
    ErrorCode.PRICE_AT_OR_BELOW_STOP: Meaning(409, "The last price is at or below the stop-loss: there is nothing to buy"),
    ErrorCode.BACKUP_STOP_NOT_SUPPORTED: Meaning(409, "No backup stop can rest at this account's broker"),
    ErrorCode.PRICE_AT_OR_ABOVE_TARGET: Meaning(409, "The last price is at or above the target: there is nothing to buy"),
    ErrorCode.MARKET_CLOSED: Meaning(409, "The strategy cannot start now: the market is closed or its sell time has passed"),
    ErrorCode.NO_TRADING_DAY: Meaning(409, "No trading day was found for this strategy in the coming weeks"),
    ErrorCode.KILL_SWITCH_ENGAGED: Meaning(409, "A kill switch is engaged; a person has to release it"),
    ErrorCode.KILL_SWITCH_NOT_ENGAGED: Meaning(409, "No such kill switch is engaged"),
    ErrorCode.RISK_LIMIT_ORDER_VALUE: Meaning(409, "The order may cost more than the account's limit for one order"),
    ErrorCode.RISK_LIMIT_OPEN_VALUE: Meaning(409, "More would be open in the account than its limit allows"),
    ErrorCode.RISK_LIMIT_ORDERS_PER_DAY: Meaning(409, "The account has sent as many entries today as its limit allows"),
    ErrorCode.RISK_LIMIT_DAILY_LOSS: Meaning(409, "The account has lost as much today as its limit allows"),
    ErrorCode.RUN_ENDED: Meaning(409, "The run has ended"),
    ErrorCode.EXIT_HAS_BEGUN: Meaning(409, "The exit has begun; nothing can be changed any more"),
    ErrorCode.SELL_TIME_PASSED: Meaning(409, "The new sell time has passed already"),
    ErrorCode.SELL_NOT_AFTER_BUY: Meaning(409, "The new sell time is not after the buy time"),
    ErrorCode.STOP_ABOVE_PRICE: Meaning(409, "The new stop-loss is not below the last price"),
    ErrorCode.STOP_BELOW_TRAIL: Meaning(409, "The stop follows the price and is never lowered"),
    ErrorCode.TARGET_BELOW_PRICE: Meaning(409, "The new target is not above the last price"),
    ErrorCode.TARGET_BELOW_STOP: Meaning(409, "The target would not be above the stop-loss"),
    ErrorCode.LAST_ADMIN: Meaning(409, "This is the only active Admin"),
    ErrorCode.SECOND_FACTOR_ON: Meaning(409, "The second factor is on already; switch it off first"),
    ErrorCode.SECOND_FACTOR_OFF: Meaning(409, "The second factor is not on, or was not begun"),
    ErrorCode.TOO_MANY_API_KEYS: Meaning(409, "There are as many API keys as one user may have; revoke one first"),
    ErrorCode.USER_HAS_OPEN_RUNS: Meaning(409, "The user has strategies that run; stop them first"),
    ErrorCode.MAINTENANCE: Meaning(409, "Maintenance: nothing new is started; what runs goes on"),
    ErrorCode.BROKER_SWITCHED_OFF: Meaning(409, "An administrator has switched this broker off: nothing new is started with it"),
    ErrorCode.FEATURE_SWITCHED_OFF: Meaning(409, "An administrator has switched this off"),
    ErrorCode.PLAYGROUND_BUSY: Meaning(409, "Three simulations or backtests of yours are not over yet; wait, or cancel one"),
    ErrorCode.PLAYGROUND_FULL: Meaning(409, "As many results or files of prices are kept as one user may have; delete some"),
    ErrorCode.RESULT_NOT_OVER: Meaning(409, "It is not over yet; cancel it first"),
    ErrorCode.RESULT_OVER: Meaning(409, "It is over already"),
    ErrorCode.TOO_MANY_TARGETS: Meaning(409, "Nobody has more than ten targets and ten devices; remove one first"),
    ErrorCode.PUSH_NOT_SET_UP: Meaning(409, "This installation pushes to no devices"),
    ErrorCode.HISTORY_NOT_KEPT: Meaning(409, "No past prices can be read from this kind of broker account"),
    ErrorCode.IDEMPOTENCY_KEY_REUSED: Meaning(409, "The Idempotency-Key was used before with another request"),
    ErrorCode.REQUEST_IN_PROGRESS: Meaning(409, "The first request with this Idempotency-Key is still being worked on"),
    ErrorCode.PAYLOAD_TOO_LARGE: Meaning(413, "The body is larger than 64 KiB; a file of prices than 16 MiB"),
    ErrorCode.INVALID_INPUT: Meaning(422, "A field is missing or of the wrong type"),
    ErrorCode.RATE_LIMITED: Meaning(429, "Too many requests in a minute"),
    ErrorCode.TOO_MANY_LOGINS: Meaning(429, "Too many login attempts in a minute"),
    ErrorCode.TOO_MANY_STREAMS: Meaning(429, "As many live streams are open as one user may have; close one first"),
    ErrorCode.INTERNAL_ERROR: Meaning(500, "Our fault; the request id finds it in the logs"),
    ErrorCode.DATABASE_UNAVAILABLE: Meaning(503, "The database does not answer"),
    ErrorCode.TEMPORAL_UNAVAILABLE: Meaning(503, "The workflow service does not answer; nothing was started"),
    ErrorCode.BROKER_UNAVAILABLE: Meaning(503, "The broker does not answer, or not in words we know"),
    ErrorCode.PRICE_UNAVAILABLE: Meaning(503, "The last price cannot be read now"),
    ErrorCode.INSTRUMENTS_NOT_LOADED: Meaning(503, "No instrument list has been loaded yet"),
    ErrorCode.CALENDAR_UNKNOWN: Meaning(503, "The trading calendar ends before that day"),
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Where: `body.stop_loss`", examples=["body.quantity"])
    code: str = Field(description="An error code, or the validator's own word", examples=["INVALID_QUANTITY"])
    message: str = Field(examples=["quantity must be at least 1, was 0"])


class ErrorBody(BaseModel):
    """The one shape of every error."""

    error: ErrorCode
    message: str = Field(description="One sentence for people")
    details: list[FieldProblem] | dict[str, str] | None = Field(None, description="Per field, or further facts")
    request_id: str | None = Field(None, description="Finds this request in the logs")


class ApiError(Exception):
    """Raised anywhere below a route; becomes the answer."""

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        details: list[FieldProblem] | dict[str, str] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message or MEANINGS[code].text)
        self.code = code
        self.message = message or MEANINGS[code].text
        self.details = details
        self.retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        return MEANINGS[self.code].status
