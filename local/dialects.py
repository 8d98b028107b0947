"""Where the simulator's dialects are, as the platform's settings name it. A test compares this with what the dialects say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from local.ports import LOOPBACK
from local.settings import LocalSettings


@dataclass(frozen=True, slots=True)
class DialectPlace:
    """`port` names the setting `simulator_<port>_port` and the simulator's option; `urls` are settings, by the end of a name."""

    port: str
    title: str
    urls: Mapping[str, str]


DIALECTS: Mapping[str, DialectPlace] = {
    "zerodha": DialectPlace(
        "kite",
        "the simulator",
        {"api_url": "http://{at}", "ws_url": "ws://{at}", "login_url": "http://{at}/connect/login"},
    ),
    "angel_one": DialectPlace(
        "angel_one",
        "the simulator's SmartAPI",
        {
            "api_url": "http://{at}",
            "login_url": "http://{at}/publisher-login",
            "ws_url": "ws://{at}/smart-stream",
            "orders_ws_url": "ws://{at}/smart-order-update",
            "master_url": "http://{at}/OpenAPI_File/files/OpenAPIScripMaster.json",
        },
    ),
    "dhan": DialectPlace(
        "dhan",
        "the simulator, as Dhan",
        {
            "api_url": "http://{at}/v2",
            "login_url": "http://{at}",
            "ws_url": "ws://{at}",
            "orders_ws_url": "ws://{at}",
            "master_url": "http://{at}/api-data/api-scrip-master-detailed.csv",
        },
    ),
    "fyers": DialectPlace(
        "fyers",
        "the simulator's Fyers",
        {
            "api_url": "http://{at}/api/v3",
            "data_url": "http://{at}/data",
            "login_url": "http://{at}/api/v3/generate-authcode",
            "ws_url": "ws://{at}/hsm/v1-5/prod",
            "orders_ws_url": "ws://{at}/trade/v3",
            "master_url": "http://{at}/sym_details",
        },
    ),
}


def port_of(local: LocalSettings, broker: str) -> int:
    return int(getattr(local, f"simulator_{DIALECTS[broker].port}_port"))


def url_settings(local: LocalSettings) -> dict[str, str]:
    """Every setting that points the platform at the simulator."""
    return {
        f"{broker}_{name}": url.format(at=f"{LOOPBACK}:{port_of(local, broker)}")
        for broker, place in DIALECTS.items()
        for name, url in place.urls.items()
    }


def port_options(local: LocalSettings) -> tuple[str, ...]:
    """For the simulator's command line."""
    return tuple(_options(local))


def _options(local: LocalSettings) -> Iterator[str]:
    for broker, place in DIALECTS.items():
        yield f"--{place.port.replace('_', '-')}-port"
        yield str(port_of(local, broker))
