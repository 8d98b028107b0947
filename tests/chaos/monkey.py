"""The monkey: from a seed to a timetable of disturbances. Pure; the same seed gives the same timetable."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SETTLED_FIRST = 5.0
"""Seconds at the start without disturbances, so that there is something to disturb."""
MEAN_PAUSE_OF = {"kill": 10.0, "pause": 14.0, "fault": 1.5}
LONGEST_PAUSE_SECONDS = 6.0
# The only worker dies as often as all its servers together: it is what the order protocol is about.
_TARGETS = {"worker": 6, "listener": 2, "api": 2, "temporal": 1, "redis": 2, "postgres": 1}


class Deed(str, Enum):
    KILL = "kill"
    PAUSE = "pause"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """`at`: seconds after the start. `target`: a part, or the kind of a fault. `settings`: a pause's length, a fault's fields."""

    at: float
    deed: Deed
    target: str
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Template:
    """One kind of fault: at which endpoints, how often in a row at most, and ranges of its other numbers."""

    kind: str
    endpoints: tuple[str, ...] = ()
    most: int = 3
    delay_ms: tuple[int, int] | None = None
    seconds: tuple[int, int] | None = None
    quantity: tuple[int, int] | None = None
    choices: tuple[dict[str, object], ...] = ({},)


_ANY_ENDPOINT = ("any", "place", "modify", "cancel", "orders", "trades", "positions")


def fault_templates(*, latest_ms: int) -> tuple[_Template, ...]:
    """`latest_ms`: how late an accepted order may appear in the book: below what proves an order absent (docs/chaos.md)."""
    return (
        _Template("drop_before", _ANY_ENDPOINT),
        _Template("accept_then_drop", ("place", "modify", "cancel")),
        _Template("accept_late", ("place",), delay_ms=(200, latest_ms), choices=({"answer": "drop"}, {"answer": "hang"})),
        _Template("status_500", _ANY_ENDPOINT, choices=({}, {"accepted": True})),
        _Template("status_502_html", _ANY_ENDPOINT, choices=({}, {"accepted": True})),
        _Template("status_503", _ANY_ENDPOINT, choices=({}, {"accepted": True})),
        _Template("status_429", _ANY_ENDPOINT),
        _Template("slow", _ANY_ENDPOINT, delay_ms=(100, 4000), choices=({}, {"when": "before"})),
        _Template("half_json", _ANY_ENDPOINT),
        _Template("redirect", _ANY_ENDPOINT),
        _Template("ok_with_error_inside", _ANY_ENDPOINT, choices=({}, {"accepted": True})),
        _Template("timeout_400", ("place",)),
        _Template("token_expired", ("place", "modify", "orders"), most=1),
        _Template("ip_refused", ("place",), most=1),
        _Template("reject_sync", ("place",), choices=({"error_type": "MarginException", "message": "Insufficient funds."}, {})),
        _Template("reject_async", ("place",)),
        _Template("partial", ("place",), quantity=(1, 9)),
        _Template("never_fill", ("place",), most=2),
        _Template("broker_cancel", ("place",), delay_ms=(0, 1500)),
        _Template("modify_refused", ("modify",), choices=({}, {"asynchronous": True})),
        _Template("cancel_refused", ("cancel",), choices=({}, {"asynchronous": True})),
        _Template("stale_book", ("orders",), most=6, seconds=(2, 20)),
        _Template("empty_positions", ("positions",), most=4),
        _Template("duplicate_update", most=6),
        _Template("late_update", most=6, delay_ms=(200, 5000)),
        _Template("regress_update", most=6),
        _Template("no_order_updates", most=10),
        _Template("cut", most=1),
        _Template("mute", most=1, seconds=(2, 12), choices=({}, {"heartbeats": True})),
    )


def timetable(
    seed: int, *, seconds: float, parts: Sequence[str], accounts: Sequence[str], latest_ms: int
) -> tuple[Disturbance, ...]:
    """Everything that will be done to the platform, in order. `parts` are those that may be killed, `accounts` are API keys."""
    rng = random.Random(f"monkey:{seed}")
    deeds = [*_moments(rng, Deed.KILL, seconds), *_moments(rng, Deed.PAUSE, seconds), *_moments(rng, Deed.FAULT, seconds)]
    return tuple(_disturbance(rng, at, deed, parts, accounts, latest_ms) for at, deed in sorted(deeds))


def _moments(rng: random.Random, deed: Deed, seconds: float) -> list[tuple[float, Deed]]:
    moments, at = [], SETTLED_FIRST
    while (at := at + rng.expovariate(1 / MEAN_PAUSE_OF[deed.value])) < seconds:
        moments.append((round(at, 3), deed))
    return moments


def _disturbance(
    rng: random.Random, at: float, deed: Deed, parts: Sequence[str], accounts: Sequence[str], latest_ms: int
) -> Disturbance:
    if deed is Deed.FAULT:
        return _fault(rng, at, accounts, latest_ms)
    part = rng.choices(parts, [_TARGETS[_role(name)] for name in parts])[0]
    settings: dict[str, object] = {} if deed is Deed.KILL else {"seconds": round(rng.uniform(0.3, LONGEST_PAUSE_SECONDS), 2)}
    return Disturbance(at, deed, part, settings)


def _role(part: str) -> str:
    return part.rstrip("-0123456789")


def _fault(rng: random.Random, at: float, accounts: Sequence[str], latest_ms: int) -> Disturbance:
    template = rng.choice(fault_templates(latest_ms=latest_ms))
    settings: dict[str, object] = dict(rng.choice(template.choices))
    if template.endpoints:
        settings["endpoint"] = rng.choice(template.endpoints)
    if template.kind not in ("cut", "mute"):
        settings["count"] = rng.randint(1, template.most)
    for name, bounds in (("delay_ms", template.delay_ms), ("seconds", template.seconds), ("quantity", template.quantity)):
        if bounds is not None:
            settings[name] = rng.randint(*bounds)
    # One account is struck for certain; for all of them it strikes whoever comes next.
    if rng.random() < 0.6:
        settings["account"] = rng.choice(accounts)
    return Disturbance(at, Deed.FAULT, template.kind, settings)
