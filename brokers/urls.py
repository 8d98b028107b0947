"""Where a broker's servers are. A dialect of the simulator, or any other server, may stand in for them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerUrls:
    """`login_url` is the login page, or the root of the servers logins are made with. Empty: this broker has no such address."""

    api_url: str
    ws_url: str
    login_url: str
    data_url: str = ""
    orders_ws_url: str = ""
    master_url: str = ""
