"""Every setting of every process, read from the environment or a `.env` file. docs/settings.md is generated from this file."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from trading.accounts import BrokerName
from trading.lead import Lead
from trading.risk import Limits

# Hosts at which a broker takes real orders with real money. An account is `live` only when its URL is one of these.
LIVE_HOSTS = frozenset({"api.kite.trade", "api.dhan.co", "apiconnect.angelone.in", "api-t1.fyers.in"})


class Settings(BaseSettings):
    """Field names are the environment variables in lower case; `DATABASE_URL` sets `database_url`."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    # Stores
    database_url: str = Field(
        "postgresql+asyncpg://postgres@127.0.0.1:5432/algo_trading", description="Postgres, the truth (asyncpg URL)"
    )
    database_pool_size: int = Field(40, ge=2, description="Connections one process may hold open to Postgres")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis: hot prices, channels; may vanish without losing money")

    # Temporal
    temporal_address: str = Field("127.0.0.1:7233", description="Temporal frontend, host:port")
    temporal_namespace: str = Field("default", description="Temporal namespace")
    temporal_payloads: Literal["plain", "sealed", "opened"] = Field(
        "plain",
        description="What Temporal keeps: `plain` JSON, or `sealed` with `AES_MASTER_KEYS`; `opened` writes plain and reads "
        "sealed. The same in every process",
    )
    temporal_ui_url: str = Field("http://127.0.0.1:8233", description="Where operators open Temporal's Web UI")
    task_queue: str = Field("strategies", description="Temporal task queue shared by the workers")
    max_cached_workflows: int = Field(12_000, ge=1, description="Running strategies one worker keeps in memory (60-75 KiB each)")
    max_concurrent_activities: int = Field(4_000, ge=1, description="Activity slots of one worker; above the largest herd")

    # API
    api_host: str = Field("127.0.0.1", description="Address the API binds to")
    api_port: int = Field(8000, ge=1, le=65535, description="Port of the API")
    public_url: str = Field("http://127.0.0.1:8000", description="Where browsers reach the API (login callback, CORS)")
    cors_origins: str = Field("", description="Origins allowed by CORS, separated by commas; empty allows none")
    jwt_keys: SecretStr = Field(
        SecretStr(""), description="Signing keys for access tokens, `kid:secret,...`; the first one signs"
    )
    aes_master_keys: SecretStr = Field(
        SecretStr(""), description="Key ring for sealed credentials, `id:base64 of 32 bytes,...`; the first one encrypts"
    )
    access_token_minutes: int = Field(15, ge=1, description="Life of an access token, minutes")
    refresh_token_days: int = Field(30, ge=1, description="Life of a refresh token, days")
    rate_limit_per_minute: int = Field(600, ge=1, description="API requests per user and minute")
    login_attempts_per_minute: int = Field(10, ge=1, description="Login attempts per account and address in a minute")
    streams_per_user: int = Field(20, ge=1, description="Live streams one user may hold open in one API process")

    # Brokers
    zerodha_api_url: str = Field("https://api.kite.trade", description="Kite Connect REST root")
    zerodha_ws_url: str = Field("wss://ws.kite.trade", description="Kite ticker websocket root")
    zerodha_login_url: str = Field("https://kite.zerodha.com/connect/login", description="Page where a user logs in daily")
    dhan_api_url: str = Field("https://api.dhan.co/v2", description="DhanHQ v2 REST root")
    dhan_login_url: str = Field("https://auth.dhan.co", description="DhanHQ v2 root of the servers logins are made with")
    dhan_ws_url: str = Field("wss://api-feed.dhan.co", description="DhanHQ v2 market feed")
    dhan_orders_ws_url: str = Field("wss://api-order-update.dhan.co", description="DhanHQ v2 order updates")
    dhan_master_url: str = Field(
        "https://images.dhan.co/api-data/api-scrip-master-detailed.csv", description="DhanHQ v2 instrument list"
    )
    angel_one_api_url: str = Field("https://apiconnect.angelone.in", description="SmartAPI REST root")
    angel_one_login_url: str = Field(
        "https://smartapi.angelone.in/publisher-login", description="SmartAPI page for logins by browser"
    )
    angel_one_ws_url: str = Field("wss://smartapisocket.angelone.in/smart-stream", description="SmartAPI market feed")
    angel_one_orders_ws_url: str = Field("wss://tns.angelone.in/smart-order-update", description="SmartAPI order updates")
    angel_one_master_url: str = Field(
        "https://margincalculator.angelone.in/OpenAPI_File/files/OpenAPIScripMaster.json", description="SmartAPI instrument list"
    )
    fyers_api_url: str = Field("https://api-t1.fyers.in/api/v3", description="Fyers API v3 REST root")
    fyers_data_url: str = Field("https://api-t1.fyers.in/data", description="Fyers API v3 root of prices and candles")
    fyers_login_url: str = Field(
        "https://api-t1.fyers.in/api/v3/generate-authcode", description="Fyers API v3 page where a user logs in daily"
    )
    fyers_ws_url: str = Field("wss://socket.fyers.in/hsm/v1-5/prod", description="Fyers API v3 market feed")
    fyers_orders_ws_url: str = Field("wss://socket.fyers.in/trade/v3", description="Fyers API v3 order updates")
    fyers_master_url: str = Field("https://public.fyers.in/sym_details", description="Fyers API v3 root of the instrument lists")
    broker_timeout_seconds: float = Field(5.0, gt=0, description="HTTP timeout of one broker call, seconds")
    allow_unrelated_live_accounts: bool = Field(
        False, description="Let more than one user connect live accounts; only for those entitled to (docs/regulation.md)"
    )

    registered_ip: str = Field("", description="The static address registered with the brokers; readiness compares with it")
    public_ip_url: str = Field(
        "", description="Answers with the caller's address as text; asked for live accounts' readiness; empty: nobody is asked"
    )

    # Orders
    desk_head_start: bool = Field(
        True, description="Desks fire armed orders at their instant; off: only the workflow's activities send"
    )
    simulated_orders_per_second: int = Field(
        8, ge=1, description="Order writes per second for a simulated account; live ones stay at 8"
    )
    settle_time_seconds: float = Field(
        3.0,
        gt=0,
        description="Time between two reads that prove an order absent, seconds; live: 4 at Angel One, 5 at Fyers at least",
    )
    entry_lead_seconds: float = Field(5.0, gt=0, le=120, description="How long before its instant an entry is armed, seconds")
    entry_jitter_seconds: float = Field(5.0, ge=0, le=120, description="Extra spread of the lead over strategies, seconds")
    entry_deadline_seconds: float = Field(
        30.0, gt=0, description="How long an entry may work before its rest is cancelled, seconds"
    )
    lease_seconds: float = Field(
        3.0, gt=0, description="A desk lease not renewed for this long is free for another worker, seconds"
    )

    # Risk: for accounts that have set no limit of their own
    default_max_order_value: Decimal | None = Field(None, gt=0, description="Most one entry may cost, rupees; empty: no limit")
    default_max_open_value: Decimal | None = Field(
        None, gt=0, description="Most that may be held and under way in one account, rupees; empty: no limit"
    )
    default_max_orders_per_day: int | None = Field(None, ge=1, description="Entries one account may send a day; empty: no limit")
    default_max_daily_loss: Decimal | None = Field(
        None, gt=0, description="Loss of a day at which an account is locked, rupees; empty: no limit"
    )

    # Market
    market_calendar: Literal["auto", "XBOM", "always_open"] = Field(
        "auto", description="`XBOM`, `always_open`, or `auto`: always open unless a configured broker URL is the broker's own"
    )
    calendar_overrides: str = Field(
        "", description="File with special sessions and holidays the calendar does not know yet (JSON)"
    )

    # Operation
    alert_targets: SecretStr = Field(
        SecretStr(""),
        description="Whom alarms are sent to: apprise addresses separated by commas; empty: nobody (docs/alarms.md)",
    )
    notification_hosts: str = Field(
        "",
        description="Hosts that users' own targets may name (webhook, ntfy, gotify, mail), separated by commas; empty: none, only"
        " services with hosts of their own (docs/alarms.md)",
    )
    fcm_service_account: SecretStr = Field(
        SecretStr(""), description="Firebase service account (its JSON) for pushes to devices; empty: none (docs/alarms.md)"
    )
    fcm_url: str = Field("https://fcm.googleapis.com", description="Firebase Cloud Messaging (HTTP v1) root")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log event written")
    log_format: Literal["json", "text"] = Field("json", description="Shape of log lines on standard error")
    process_name: str = Field("", description="Name of this process in leases and logs; empty: host and pid")
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port of the worker on loopback; 0 is off")
    listener_metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port of the listener on loopback; 0 is off")

    @cached_property
    def default_limits(self) -> Limits:
        """The limits of accounts that have none of their own."""
        return Limits(
            self.default_max_order_value,
            self.default_max_open_value,
            self.default_max_orders_per_day,
            self.default_max_daily_loss,
        )

    @cached_property
    def lead(self) -> Lead:
        return Lead(self.entry_lead_seconds, self.entry_jitter_seconds, self.entry_deadline_seconds, self.desk_head_start)

    @cached_property
    def notification_host_list(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.notification_hosts.split(",") if host.strip())

    @cached_property
    def any_broker_is_live(self) -> bool:
        """Whether a configured broker URL is the broker's own host."""
        return any(is_live_url(url) for url in self.broker_api_urls.values())

    @cached_property
    def broker_api_urls(self) -> Mapping[BrokerName, str]:
        """Where the brokers of this installation are. As soon as one broker's URL names a stand-in, brokers whose URL was left
        alone are not offered: a rehearsal opens no door to real money. Nor is one whose URL is empty."""
        brokers = [name for name in BrokerName if name.has_servers]
        named = {name: str(getattr(self, f"{name.value}_api_url")) for name in brokers}
        urls = {name: url for name, url in named.items() if url}
        if all(is_live_url(url) for url in urls.values()):
            return urls
        return {name: url for name, url in urls.items() if f"{name.value}_api_url" in self.model_fields_set}

    @cached_property
    def calendar_name(self) -> Literal["XBOM", "always_open"]:
        """The calendar in force once `auto` is resolved."""
        if self.market_calendar == "auto":
            return "XBOM" if self.any_broker_is_live else "always_open"
        return self.market_calendar

    @cached_property
    def cors_origin_list(self) -> tuple[str, ...]:
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())


def is_live_url(url: str) -> bool:
    """True only for a broker's own production host."""
    return (urlsplit(url).hostname or "") in LIVE_HOSTS


# A default user in the docs and the demo would sell at these prices; kept here so that the demo and the README agree.
DEMO_SYMBOL = "TCS"
DEMO_STOP_LOSS = Decimal(3500)
