"""`python -m api.contract`: the committed contract, and what has changed in it that would break a client.

`write` renews packages/api/openapi.json (as `python -m api.document` does); `check` names breaking changes since the last
release that nobody has accepted; `release` makes today's contract the one that is compared with. docs/api.md says how one is
accepted.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from api.main import create_app
from runtime.settings import Settings

PACKAGE = Path(__file__).parents[1] / "packages" / "api"
CURRENT = PACKAGE / "openapi.json"
RELEASED = PACKAGE / "openapi-released.json"
ACCEPTED = PACKAGE / "openapi-accepted.txt"

Schema = Mapping[str, Any]
_WORDS = frozenset({"description", "summary", "title", "example", "examples", "tags", "info", "default"})
_BOUNDS = (
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "maxItems",
)


def document() -> dict[str, Any]:
    """Today's, from the code. Needs no environment: nothing is opened."""
    return create_app(Settings(_env_file=None)).openapi()


def as_text(contract: Mapping[str, Any]) -> str:
    """JSON with a line for each path and each schema: small, and a change shows where it is."""
    lines = {key: _lines(value) for key, value in contract.items() if key != "components"}
    lines["components"] = (
        "{" + ",".join(f"\n{_dump(key)}: {_lines(value)}" for key, value in contract["components"].items()) + "}"
    )
    return "{\n" + ",\n".join(f"{_dump(key)}: {value}" for key, value in lines.items()) + "\n}\n"


def _lines(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _dump(value)
    return "{" + ",".join(f"\n {_dump(key)}: {_dump(inner)}" for key, inner in value.items()) + "}"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def without_words(value: Any, *, of_names: bool = False) -> Any:
    """What machines depend on. Under `properties` every key is a field's name, whatever it is called."""
    if isinstance(value, Mapping):
        return {
            key: without_words(inner, of_names=key == "properties" and not of_names)
            for key, inner in value.items()
            if of_names or key not in _WORDS
        }
    return [without_words(inner) for inner in value] if isinstance(value, list) else value


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """In words, one line each: what a client of the old contract could trip over."""
    return sorted(set(_Comparison(old, new).run()))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._compared: set[tuple[str, str, bool]] = set()

    def run(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method, old in operations.items():
                name = f"{method.upper()} {path}"
                new = self._new["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{name}: is gone"
                    continue
                yield from self._operation(name, old, new)

    def _operation(self, name: str, old: Schema, new: Schema) -> Iterator[str]:
        if old["operationId"] != new["operationId"]:
            yield f"{name}: is called {new['operationId']} and was {old['operationId']}"
        yield from self._parameters(name, old.get("parameters", []), new.get("parameters", []))
        yield from self._body(name, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            if not status.startswith("2"):
                continue
            answered = new["responses"].get(status)
            if answered is None:
                yield f"{name}: does not answer {status} any more"
                continue
            for media, content in answer.get("content", {}).items():
                if media not in answered.get("content", {}):
                    yield f"{name}: {status} is not {media} any more"
                elif "schema" in content:
                    yield from self._schema(
                        f"{name}: {status}", content["schema"], answered["content"][media].get("schema", {}), given=False
                    )

    def _parameters(self, name: str, old: Sequence[Schema], new: Sequence[Schema]) -> Iterator[str]:
        before = {(one["in"], one["name"]): one for one in old}
        now = {(one["in"], one["name"]): one for one in new}
        for key, parameter in now.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{name}: the {key[0]} parameter {key[1]} has to be sent"
        for key, parameter in before.items():
            if key not in now:
                yield f"{name}: the {key[0]} parameter {key[1]} is gone"
            else:
                yield from self._schema(f"{name}: {key[1]}", parameter.get("schema", {}), now[key].get("schema", {}), given=True)

    def _body(self, name: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{name}: a body has to be sent"
        for media, content in (old or {}).get("content", {}).items():
            found = (new or {}).get("content", {}).get(media)
            if found is None:
                yield f"{name}: takes no {media} any more"
            elif "schema" in content:
                yield from self._schema(f"{name}: body", content["schema"], found.get("schema", {}), given=True)

    def _schema(self, where: str, old: Schema, new: Schema, *, given: bool) -> Iterator[str]:
        """`given`: clients send it, and it may only become wider; else they read it, and it may only become narrower."""
        seen = (str(old.get("$ref")), str(new.get("$ref")), given)
        if "$ref" in old and "$ref" in new:
            if seen in self._compared:
                return
            self._compared.add(seen)
            where = f"{where} {seen[0].rpartition('/')[2]}"
        before, now = _kinds(_resolved(self._old, old), self._old), _kinds(_resolved(self._new, new), self._new)
        if not before or not now:
            return
        for kind in sorted(before.keys() - now.keys() if given else now.keys() - before.keys()):
            yield f"{where} {'takes no' if given else 'may be'} {kind}{' any more' if given else ' now'}"
        for kind in sorted(before.keys() & now.keys()):
            yield from self._kind(where, before[kind], now[kind], given=given)

    def _kind(self, where: str, old: Schema, new: Schema, *, given: bool) -> Iterator[str]:
        fields, known = old.get("properties", {}), new.get("properties", {})
        required, needed = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(needed - required if given else ()):
            yield f"{where}.{name} has to be sent"
        for name in sorted(fields):
            if name in known:
                yield from self._schema(f"{where}.{name}", fields[name], known[name], given=given)
            elif not given or new.get("additionalProperties") is False:
                yield f"{where}.{name} is gone"
            if not given and name in required - needed and name in known:
                yield f"{where}.{name} may be missing now"
        if "items" in old and "items" in new:
            yield from self._schema(f"{where}[]", old["items"], new["items"], given=given)
        before, now = _values(old), _values(new)
        if not given and before is not None:
            # A client that knows every value may have no way for another one.
            yield from [f"{where} may be any {new.get('type')} now"] if now is None else ()
            yield from (f"{where} may be {value!r} now" for value in now or () if value not in before)
        if given:
            for value in [one for one in before or () if now is not None and one not in now]:
                yield f"{where} takes {value!r} no more"
            for bound in [one for one in _BOUNDS if one in new and old.get(one) != new[one]]:
                yield f"{where}: {bound} is {new[bound]!r} and was {old.get(bound)!r}"


def _resolved(contract: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found = contract
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _kinds(schema: Schema, contract: Schema) -> dict[str, Schema]:
    """What it may be: by type, and for objects by which."""
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways is None:
        kind = schema.get("type") or ("string" if "enum" in schema or "const" in schema else None)
        return {} if kind is None else {str(kind): schema}
    found: dict[str, Schema] = {}
    for way in ways:
        for kind, inner in _kinds(_resolved(contract, way), contract).items():
            name = way["$ref"].rpartition("/")[2] if "$ref" in way and kind == "object" else kind
            found[name] = inner
    return found


def _values(schema: Schema) -> Sequence[Any] | None:
    """All it may be; None: whatever fits its type."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def accepted() -> set[str]:
    lines = ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def unaccepted() -> list[str]:
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    return [line for line in breaking_changes(released, without_words(document())) if line not in accepted()]


def write() -> None:
    CURRENT.write_text(as_text(document()), encoding="utf-8")


def release() -> None:
    RELEASED.write_text(as_text(without_words(document())), encoding="utf-8")
    ACCEPTED.write_text(
        "# Breaking changes since the last release that were decided on. A line each, as the check prints it.\n", encoding="utf-8"
    )


def main(verb: str) -> int:
    if verb == "write":
        write()
    elif verb == "release":
        write()
        release()
    elif found := unaccepted():
        sys.stdout.write("\n".join(["Breaking since the last release:", *found, ""]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["check"]))
