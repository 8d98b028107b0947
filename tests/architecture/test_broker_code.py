"""A failed read is never turned into an empty answer: unknown is not zero, not false and not gone."""

import ast

import pytest

from tests.architecture.code import Module, enclosing_function, modules_of, parse

# Handlers that answer with "nothing", each with the reason why nothing is the right word there.
NAMED = {
    # As above, for SmartAPI.
    ("brokers/angel_one/errors.py", "envelope", "ValueError"),
    ("brokers/angel_one/instruments.py", "_listed", "UnreadableAnswer"),
    # Not of this form: the next is tried, and when none fits the time is unreadable.
    ("brokers/angel_one/fields.py", "_parsed", "ValueError"),
    # A socket may be well while a call fails; and a dead token, the one thing looked for, is raised.
    ("brokers/dhan/adapter.py", "_check_session", "(BrokerUnavailable, BrokerRefused, UnreadableAnswer)"),
    # Not silent: whoever waits for the answer has it raised.
    ("brokers/http_connection.py", "data_received", "(HttpParserError, HttpParserUpgrade)"),
    # As for Kite's envelope.
    ("brokers/dhan/errors.py", "_parsed", "ValueError"),
    ("brokers/dhan/instruments.py", "_listed", "(ValueError, InvalidOperation)"),
    # A time that is no time is an unknown one, and the next field is tried; a trade without any is unreadable.
    ("brokers/dhan/loose.py", "optional_moment", "ValueError"),
    # A token that says nothing about its end lasts as long as its login says, or a day.
    ("brokers/dhan/session.py", "_claimed_end", "(OverflowError, ValueError, OSError)"),
    ("brokers/dhan/session.py", "_claims", "(ValueError, binascii.Error)"),
    # As for Kite: "this is not Fyers' envelope", and one line of its lists that describes no instrument.
    ("brokers/fyers/errors.py", "envelope", "(ValueError, UnreadableAnswer)"),
    ("brokers/fyers/instruments.py", "_listed", "(UnreadableAnswer, InvalidOperation, ValueError)"),
    # Indices cannot be bought: without the list of their names their prices are missing, and the log says so.
    ("brokers/fyers/instruments.py", "_index_names", "ValueError"),
    # A token that is no JWT says nothing of itself; who needs what it says asks the broker.
    ("brokers/fyers/session.py", "claims", "(ValueError, binascii.Error)"),
    # A symbol the broker does not know is absent from prices and limits, by the port.
    ("brokers/fyers/adapter.py", "price_limits", "BrokerRefused"),
    # Not of this form: the next is tried, and when none fits the time is unreadable.
    ("brokers/fyers/orders.py", "_time", "ValueError"),
    # The server did not say that it heard; what it tells from now on shows whether it did.
    ("brokers/fyers/order_socket.py", "subscribe", "TimeoutError"),
    # As for Angel One's stream: the loss is raised where the messages are taken.
    ("brokers/lines.py", "_listen", "BrokerError"),
    # "This is not Kite's envelope" is the answer; every caller judges such a body as no answer at all.
    ("brokers/zerodha/errors.py", "envelope", "ValueError"),
    # One line of the public list that describes no instrument; a list without any raises.
    ("brokers/zerodha/instruments.py", "_listed", "(ValueError, InvalidOperation)"),
    # Nothing came yet, which silence alone makes a failure: it waits on, and raises once the line has been silent for too long.
    ("brokers/sockets.py", "receive_unless_silent", "TimeoutError"),
    # Telling whoever measures: the answer itself is already in hand and goes its way.
    ("brokers/connections.py", "tell", "Exception"),
}


def silenced_failures(module: Module) -> list[str]:
    """Handlers that return something empty, or that do nothing and go on."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and _swallows(node) and not _is_named(module, node):
            found.append(module.at(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            found.append(module.at(node))
    return found


def _swallows(handler: ast.ExceptHandler) -> bool:
    if not any(isinstance(node, ast.Raise | ast.Return) for node in ast.walk(handler)):
        return True
    returned = [node.value for node in ast.walk(handler) if isinstance(node, ast.Return)]
    return any(_is_empty(value) for value in returned)


def _is_empty(value: ast.expr | None) -> bool:
    if value is None:
        return True
    if isinstance(value, ast.Constant):
        return not value.value
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.Call):
        # `dict()`, `Decimal(0)`, `tuple([])`
        return not value.keywords and all(_is_empty(argument) for argument in value.args)
    return False


def _is_named(module: Module, handler: ast.ExceptHandler) -> bool:
    caught = ast.unparse(handler.type) if handler.type else ""
    return (module.path, enclosing_function(module.tree, handler), caught) in NAMED


@pytest.mark.parametrize("module", modules_of("brokers"), ids=lambda module: module.path)
def test_no_failure_at_a_broker_is_answered_with_nothing(module: Module) -> None:
    assert silenced_failures(module) == []


NOTHINGS = (
    "return 0",
    "return 0.0",
    "return []",
    "return False",
    "return None",
    "return",
    "return {}",
    "return ()",
    "return ''",
    "return dict()",
    "return Decimal(0)",
    "return tuple([])",
    "log.warning('x')",
    "continue",
    "pass",
)
READ = """
async def positions(self):
    for _ in range(2):
        try:
            return await self.read()
        except OSError:
            {answer}
"""


@pytest.mark.parametrize("answer", NOTHINGS)
def test_the_rule_finds_every_way_of_saying_nothing(answer: str) -> None:
    assert silenced_failures(Module("brokers/new.py", parse(READ.format(answer=answer)))) != []


def test_the_rule_finds_a_suppressed_failure() -> None:
    source = "def f():\n    with contextlib.suppress(OSError):\n        pass"
    assert silenced_failures(Module("brokers/new.py", parse(source))) != []


@pytest.mark.parametrize(
    "answer", ["raise BrokerUnavailable('x') from None", "return attempt.failure(error)", "return Unknown('x')"]
)
def test_the_rule_leaves_answers_that_say_something_alone(answer: str) -> None:
    assert silenced_failures(Module("brokers/new.py", parse(READ.format(answer=answer)))) == []


def test_the_named_handlers_are_still_there() -> None:
    handlers = {
        (module.path, enclosing_function(module.tree, node), ast.unparse(node.type))
        for module in modules_of("brokers")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and node.type
    }
    assert handlers >= NAMED


def test_only_a_connection_parses_http() -> None:
    """The linter says so for our packages together; here each module of the brokers answers for itself."""
    importers = {
        module.path for module in modules_of("brokers") for name, _ in module.imports() if name.split(".")[0] == "httptools"
    }
    assert importers == {"brokers/http_connection.py"}


def test_a_brokers_own_client_library_is_never_used() -> None:
    own = {"kiteconnect", "dhanhq", "fyers_apiv3", "SmartApi", "requests", "httpx", "urllib3", "aiohttp"}
    everywhere = modules_of("brokers", "execution", "runtime", "api", "listener", "worker.py")
    assert [module.at(node) for module in everywhere for name, node in module.imports() if name.split(".")[0] in own] == []
