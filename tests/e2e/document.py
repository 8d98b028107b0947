"""What the document promises of each operation, and which of them have been answered well."""

import re
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/api/v1"


@dataclass
class Document:
    """`answered`: operation ids that have once done what they are for."""

    paths: dict[str, Any]
    answered: set[str] = field(default_factory=set)

    def operations(self) -> set[str]:
        return {operation["operationId"] for methods in self.paths.values() for operation in methods.values()}

    def note(self, method: str, path: str, status: int) -> None:
        """Fails for an answer that the document does not know."""
        operation = self._find(method, path.partition("?")[0])
        assert str(status) in operation["responses"], f"{method} {path}: {status} is not in the document"
        if status < 400:
            self.answered.add(operation["operationId"])

    def _find(self, method: str, path: str) -> Any:
        fitting = [
            (template.count("{"), methods[method.lower()])
            for template, methods in self.paths.items()
            if method.lower() in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), PREFIX + path)
        ]
        # `/strategy/list` fits `/strategy/{strategy_id}` as well: the one with fewer gaps is meant.
        return min(fitting, key=lambda found: found[0])[1]
