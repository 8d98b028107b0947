"""Trouble that has to last before it counts: a blink of a part that is being restarted is no alarm."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lasting:
    """Asked again and again about the same things; times are monotonic seconds."""

    _since: dict[str, float] = field(default_factory=dict)

    def has_lasted(self, key: str, *, wrong: bool | None, seconds: float, now: float) -> bool | None:
        """True: wrong for that long without a break. False: it is right. None: neither is known, or it has only begun.

        An answer that could not be had (`wrong` is None) proves nothing, and breaks nothing.
        """
        if wrong is None:
            return None
        if not wrong:
            self._since.pop(key, None)
            return False
        return True if now - self._since.setdefault(key, now) >= seconds else None
