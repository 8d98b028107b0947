"""What can be wrong with a file of prices, said so that its owner can mend it."""

from dataclasses import dataclass

MOST_REPORTED = 20


@dataclass(frozen=True, slots=True)
class LineProblem:
    """`line` counts from 1, the header included; 0 is the file as a whole."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class BadFile(Exception):
    """The file cannot be used; `problems` holds the first of what is wrong with it."""

    def __init__(self, *problems: LineProblem) -> None:
        super().__init__(
            "; ".join(f"line {problem.line}: {problem.reason}" if problem.line else problem.reason for problem in problems)
        )
        self.problems = problems


def whole_file(reason: str) -> BadFile:
    return BadFile(LineProblem(0, reason))
