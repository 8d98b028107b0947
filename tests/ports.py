"""Free ports for a stack of its own, by the names of their settings."""

from local.ports import free_ports

NAMES = (
    "API_PORT",
    "SIMULATOR_KITE_PORT",
    "SIMULATOR_CONTROL_PORT",
    "SIMULATOR_DHAN_PORT",
    "SIMULATOR_ANGEL_ONE_PORT",
    "SIMULATOR_FYERS_PORT",
)


def stack_ports() -> dict[str, str]:
    return {name: str(port) for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)}
