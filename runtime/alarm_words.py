"""What a person is told of alarms: one message for all that is due, however many there are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from execution.alarm_kinds import kind_of
from storage.models import AlertEvent, Severity
from storage.repositories.alerts import ToTell
from trading.sessions import INDIA

# A phone shows no more; a storm is counted instead.
MOST_LINES = 15
LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Message:
    """`severity`: the gravest of what has begun; None when everything in it is over."""

    title: str
    body: str
    severity: Severity | None


def message_about(due: Sequence[ToTell]) -> Message:
    """The gravest first. `due` is not empty."""
    begun = [told for told in due if told.event is AlertEvent.RAISED]
    ended = [told for told in due if told.event is AlertEvent.CLEARED]
    order = list(Severity)
    begun.sort(key=lambda told: (-order.index(told.alert.severity), told.alert.raised_at))
    listed = [*begun, *ended]
    lines = [_line(told) for told in listed[:MOST_LINES]]
    if rest := listed[MOST_LINES:]:
        counted = Counter(f"{told.alert.kind}{' over' if told.event is AlertEvent.CLEARED else ''}" for told in rest)
        lines.append(f"and {len(rest)} more: " + ", ".join(f"{count} {name}" for name, count in counted.most_common()))
    return Message(_title(begun, ended), "\n\n".join(lines), begun[0].alert.severity if begun else None)


def _title(begun: Sequence[ToTell], ended: Sequence[ToTell]) -> str:
    if len(begun) == 1 and not ended:
        alert = begun[0].alert
        return f"{alert.severity.value.capitalize()}: {kind_of(alert.kind).title}"
    if len(ended) == 1 and not begun:
        return f"Over: {kind_of(ended[0].alert.kind).title}"
    counts = [(len(begun), "alarms" if len(begun) > 1 else "alarm"), (len(ended), "over")]
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _line(told: ToTell) -> str:
    alert = told.alert
    kind = kind_of(alert.kind)
    about = ", ".join(part for part in (alert.run_id, alert.account_id) if part)
    about = f" ({about})" if about else ""
    if told.event is AlertEvent.CLEARED:
        over_at = f" at {alert.cleared_at.astimezone(INDIA):%H:%M:%S}" if alert.cleared_at else ""
        return f"OVER: {kind.title}{about}, since {alert.raised_at.astimezone(INDIA):%d %b %H:%M:%S}, over{over_at}"
    since = f"{alert.raised_at.astimezone(INDIA):%d %b %H:%M:%S}"
    words = alert.message[:LONGEST_WORDS]
    return (
        f"{alert.severity.value.upper()}: {kind.title}. {words}{about}, since {since}. What to do: docs/runbooks/{alert.kind}.md"
    )
