"""Command line: `python -m simulator`."""

import asyncio
import contextlib
import gc
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from simulator.exchange.sessions import Hours
from simulator.journal import DataFolderBusy
from simulator.server import PortBusy, Simulator
from simulator.settings import RateLimits, Settings

app = typer.Typer(add_completion=False)
_log = structlog.get_logger("simulator")
_EXIT_CANNOT_START = 2
# New objects, more than freed ones: those of some five hundred orders, and five milliseconds of work.
_PORTION, _NEVER = 50_000, 1_000_000_000


def _env(name: str) -> str:
    return f"SIMULATOR_{name}"


@app.command()
def main(
    host: Annotated[str, typer.Option(envvar=_env("HOST"), help="Address of all ports.")] = "127.0.0.1",
    kite_port: Annotated[int, typer.Option(envvar=_env("KITE_PORT"), help="REST and ticker; 0 takes a free port.")] = 8090,
    control_port: Annotated[int, typer.Option(envvar=_env("CONTROL_PORT"), help="Control API and page; 0: a free port.")] = 8091,
    dhan_port: Annotated[int, typer.Option(envvar=_env("DHAN_PORT"), help="DhanHQ v2; 0: a free port.")] = 8092,
    angel_one_port: Annotated[int, typer.Option(envvar=_env("ANGEL_ONE_PORT"), help="SmartAPI; 0: a free port.")] = 8093,
    fyers_port: Annotated[int, typer.Option(envvar=_env("FYERS_PORT"), help="Fyers API v3; 0: a free port.")] = 8094,
    data: Annotated[Path | None, typer.Option(envvar=_env("DATA"), help="Folder for the state; none: memory only.")] = None,
    seed: Annotated[int, typer.Option(envvar=_env("SEED"), help="Seed of every random price.")] = 1,
    market: Annotated[Hours, typer.Option(envvar=_env("MARKET"), help="When orders are taken.")] = Hours.ALWAYS_OPEN,
    rate_limits: Annotated[RateLimits, typer.Option(envvar=_env("RATE_LIMITS"), help="Which limits hold.")] = RateLimits.ON,
    log: Annotated[Path | None, typer.Option(envvar=_env("LOG"), help="The exchange's own log, JSON lines.")] = None,
    prices: Annotated[str, typer.Option(envvar=_env("PRICES"), help="walk or hand.")] = "walk",
    open_accounts: Annotated[bool, typer.Option(envvar=_env("OPEN_ACCOUNTS"), help="Let any key sim-<name> exist.")] = True,
    extra_instruments: Annotated[int, typer.Option(envvar=_env("EXTRA_INSTRUMENTS"), help="Synthetic shares.", min=0)] = 0,
    ticker_connections: Annotated[int, typer.Option(envvar=_env("TICKER_CONNECTIONS"), help="Per key; 0: unlimited.", min=0)] = 3,
    redirect_url: Annotated[str | None, typer.Option(envvar=_env("REDIRECT_URL"), help="After login, by default.")] = None,
) -> None:
    """A stand-in exchange that speaks the brokers' own protocols."""
    if prices not in ("walk", "hand"):
        raise typer.BadParameter("prices must be walk or hand")
    settings = Settings(
        host=host, kite_port=kite_port, control_port=control_port, dhan_port=dhan_port, angel_one_port=angel_one_port,
        fyers_port=fyers_port, data=data, seed=seed, market=market,
        rate_limits=rate_limits, log=log, prices=prices, open_accounts=open_accounts,
        extra_instruments=extra_instruments, ticker_connections=ticker_connections, redirect_url=redirect_url,
    )  # fmt: skip
    try:
        _run(settings)
    except (PortBusy, DataFolderBusy) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_EXIT_CANNOT_START) from None


def _run(settings: Settings) -> None:
    with _fast_loop() as runner:
        runner.run(_serve(settings))


def _fast_loop() -> asyncio.Runner:
    with contextlib.suppress(ImportError):
        import uvloop

        return asyncio.Runner(loop_factory=uvloop.new_event_loop)
    return asyncio.Runner()


async def _serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    simulator = Simulator(settings)
    await simulator.start()
    _collect_seldom()
    roots = {name: simulator.urls(name)["api_url"] for name in simulator.dialects}
    _log.info("simulator_started", page=simulator.control_url, **roots)
    await stopped.wait()
    await simulator.stop()
    _log.info("simulator_stopped")


def _collect_seldom() -> None:
    """A search for garbage through all instruments and orders would hold orders up, and make every client look slow: what is new
    is searched once, and all of it at the end of the trading day."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_PORTION, _NEVER, _NEVER)


if __name__ == "__main__":
    app()
