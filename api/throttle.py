"""Limits per user, account and address: counted in Redis for all processes together, in memory while Redis is away."""

from dataclasses import dataclass

import structlog
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from api.errors import ApiError, ErrorCode
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics

log = structlog.get_logger()

# After a failure Redis is left alone for this long, so that no request waits for it.
REST_SECONDS = 5.0
WINDOW_SECONDS = 60
HOUR_SECONDS = 3_600
# Six digits with three steps open: at this pace a guess takes more than a year on average.
CODES_PER_HOUR = 20
REDIS_TIMEOUT_SECONDS = 0.5
# One account may be tried from many addresses, and one address may serve an office: wider than the limit of the pair.
ACCOUNT_FACTOR = 5
ADDRESS_FACTOR = 20
TEST_MESSAGES_PER_MINUTE = 3
# Unsigned messages about orders from one address: each has a book read, and the order stream tells the same.
HINTS_PER_MINUTE = 120


@dataclass(frozen=True, slots=True)
class Rates:
    requests_per_minute: int
    login_attempts_per_minute: int


class Throttle:
    def __init__(self, redis_url: str, rates: Rates, *, clock: Clock, metrics: Metrics) -> None:
        storage = RedisStorage(
            f"async+{_scheme(redis_url)}",
            wrap_exceptions=True,
            implementation="redispy",
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            # As in `cache/connection.py`; the library passes it on as it is.
            driver_info=None,  # type: ignore[arg-type]
        )
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._clock = clock
        self._metrics = metrics
        self._shared_from = 0.0
        logins = rates.login_attempts_per_minute
        self._requests = RateLimitItemPerMinute(rates.requests_per_minute)
        self._tests = RateLimitItemPerMinute(TEST_MESSAGES_PER_MINUTE)
        self._hints = RateLimitItemPerMinute(HINTS_PER_MINUTE)
        self._login_pair = RateLimitItemPerMinute(logins)
        self._login_account = RateLimitItemPerMinute(logins * ACCOUNT_FACTOR)
        self._login_address = RateLimitItemPerMinute(logins * ADDRESS_FACTOR)
        self._second_factor = RateLimitItemPerHour(CODES_PER_HOUR)

    async def request(self, caller: str) -> None:
        """Raises ApiError RATE_LIMITED."""
        if not await self._hit(self._requests, "request", caller):
            raise ApiError(ErrorCode.RATE_LIMITED, retry_after_seconds=WINDOW_SECONDS)

    async def login(self, *, account: str, address: str) -> None:
        """Count one attempt before the password is looked at. Raises ApiError TOO_MANY_LOGINS."""
        allowed = [
            await self._hit(self._login_pair, "login-pair", f"{account}|{address}"),
            await self._hit(self._login_account, "login-account", account),
            await self._hit(self._login_address, "login-address", address),
        ]
        if not all(allowed):
            raise ApiError(ErrorCode.TOO_MANY_LOGINS, retry_after_seconds=WINDOW_SECONDS)

    async def second_factor(self, *, user_id: str) -> None:
        """Count one code, after the password was right: a stranger cannot use this up. Raises ApiError TOO_MANY_LOGINS."""
        if not await self._hit(self._second_factor, "second-factor", user_id):
            raise ApiError(ErrorCode.TOO_MANY_LOGINS, retry_after_seconds=HOUR_SECONDS)

    async def registration(self, *, address: str) -> None:
        """Raises ApiError RATE_LIMITED: making a password's hash is dear."""
        if not await self._hit(self._login_address, "register-address", address):
            raise ApiError(ErrorCode.RATE_LIMITED, retry_after_seconds=WINDOW_SECONDS)

    async def test_message(self, user_id: str) -> None:
        """Raises ApiError RATE_LIMITED: a test sends something to somebody."""
        if not await self._hit(self._tests, "test-message", user_id):
            raise ApiError(ErrorCode.RATE_LIMITED, retry_after_seconds=WINDOW_SECONDS)

    async def hint(self, *, address: str) -> None:
        """Raises ApiError RATE_LIMITED."""
        if not await self._hit(self._hints, "hint", address):
            raise ApiError(ErrorCode.RATE_LIMITED, retry_after_seconds=WINDOW_SECONDS)

    async def _hit(self, item: RateLimitItem, *names: str) -> bool:
        if self._clock.monotonic() >= self._shared_from:
            try:
                return await self._shared.hit(item, *names)
            except StorageError as error:
                self._shared_from = self._clock.monotonic() + REST_SECONDS
                self._metrics.count("redis_failures")
                log.warning("throttle_without_redis", error=type(error).__name__)
        return await self._own.hit(item, *names)


def _scheme(redis_url: str) -> str:
    """The library's own word for a socket."""
    return redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
