"""The demo: one trade from buy to stop-loss before the reader's eyes."""

from rich.console import Console

DEMO_EMAIL = "demo@example.com"
DEMO_PASSWORD = "demo-password"  # noqa: S105 - an account on this machine with simulated money, printed on the screen


async def run(*, api_url: str, simulator_control_url: str, console: Console) -> None:
    """Creates the demo user if missing, connects the simulated broker and runs one strategy through the API."""
    console.print(f"[dim]the demo is not written yet; it will drive {api_url} and set prices at {simulator_control_url}[/]")
