"""Tells the person at the terminal what is going on and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

_LINE_EVERY_SECONDS = 30.0


class Step:
    """One piece of work; `detail` may be called as often as there is news."""

    def __init__(self, console: Console, title: str, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task(title, detail="")
        self._next_line_at = time.monotonic() + _LINE_EVERY_SECONDS

    def detail(self, text: str) -> None:
        self._bar.update(self._task, detail=text)
        # Without a terminal (CI) there is no moving line; a plain one now and then shows that it is alive.
        if not self._console.is_terminal and time.monotonic() >= self._next_line_at:
            self._next_line_at = time.monotonic() + _LINE_EVERY_SECONDS
            self._console.print(f"  {text}", style="dim", markup=False, soft_wrap=True)


class Progress:
    """Titles, spinners and durations on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Shows `title` with the time it takes; a check mark when the block ends well, a cross when it raises."""
        began = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
        )
        if not self.console.is_terminal:
            self.console.print(f"… {title}")
        try:
            with Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
                yield Step(self.console, title, bar)
        except BaseException:
            self.console.print(f"[red]✘[/] {title} [dim]{time.monotonic() - began:.1f} s[/]")
            raise
        self.console.print(f"[green]✔[/] {title} [dim]{time.monotonic() - began:.1f} s[/]")
