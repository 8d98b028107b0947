"""Every command of docs/curl.md, in its order, against the application: each is answered well."""

import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from string import Template

from storage.models import Role
from tests.api.conftest import PASSWORD, Platform
from tests.api.fakes import TCS
from tests.api.fuzzing import ROOT
from tests.api.test_fuzzed import person

_COMMAND = re.compile(r"(?:(?P<name>\w+)=\$\()?curl (?P<arguments>.*?)(?: \| jq -r \.(?P<field>\w+)\))?")
_SETTING = re.compile(r"\w+=\S+")


def commands() -> Iterator[str]:
    page = (ROOT / "docs" / "curl.md").read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL):
        yield from (line for line in block.splitlines() if line and not _SETTING.fullmatch(line))


async def run(platform: Platform, command: str, variables: dict[str, str]) -> None:
    """One command, as the shell and curl would take it."""
    found = _COMMAND.fullmatch(command)
    assert found is not None, command
    method, headers, content, address = "", {}, None, ""
    arguments = iter(shlex.split(Template(found["arguments"]).safe_substitute(variables)))
    for argument in arguments:
        match argument:
            case "-s":
                pass
            case "-X":
                method = next(arguments)
            case "-H":
                name, _, value = next(arguments).partition(": ")
                headers[name] = value
            case "-d":
                content = next(arguments)
            case _:
                assert not argument.startswith("-"), f"{argument} of: {command}"
                address = argument
    response = await platform.http.request(method or ("POST" if content else "GET"), address, headers=headers, content=content)
    assert response.is_success, f"{command}\n{response.status_code} {response.text}"
    if found["name"]:
        variables[found["name"]] = response.json()[found["field"]]


async def test_every_command_of_the_page_works(trading: Platform) -> None:
    trading.broker.prices[TCS] = Decimal(3550)
    await person(trading, "admin@example.com", Role.ADMIN, password=PASSWORD)
    variables = {"API": "http://api.test/api/v1"}
    ran = 0
    for command in commands():
        await run(trading, command, variables)
        ran += 1
    assert ran > 30
