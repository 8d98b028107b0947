"""What a person sees when the stack is up."""

from rich.panel import Panel
from rich.table import Table

from local.demo import DEMO_EMAIL, DEMO_PASSWORD
from local.plan import Plan


def addresses_of(plan: Plan) -> dict[str, str]:
    """Title and URL of everything worth opening in a browser."""
    addresses = {}
    if plan.runs("api"):
        addresses["API"] = f"{plan.api_url}/docs"
    if plan.runs("temporal-ui") or not plan.embeds_temporal:
        addresses["Temporal"] = plan.settings.temporal_ui_url
    if plan.runs("simulator"):
        addresses["Simulator"] = plan.simulator_control_url
    return addresses


def stack_panel(plan: Plan) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    for title, url in addresses_of(plan).items():
        grid.add_row(title, f"[link={url}]{url}[/link]")
    if plan.runs("demo") and plan.runs("api"):
        grid.add_row("Demo login", f"{DEMO_EMAIL}  /  {DEMO_PASSWORD}")
    grid.add_row("Logs", str(plan.logs))
    grid.add_row("", "[dim]Ctrl-C (or `make down`) stops everything; state stays in .local/[/dim]")
    return Panel(grid, title="[green]The stack is up[/]", border_style="green", expand=False)
