"""What the listener needs to know of instruments and sessions."""

from datetime import date, datetime, time
from decimal import Decimal

from runtime.instruments import InstrumentDirectory, InstrumentsNotLoaded
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId
from trading.ports.clock import Clock
from trading.sessions import DERIVATIVES_CLOSE, TradingCalendar, UnknownDay, instant, session_of, trading_date


class Market:
    def __init__(self, directory: InstrumentDirectory, *, calendar: TradingCalendar, clock: Clock) -> None:
        self._directory = directory
        self._calendar = calendar
        self._clock = clock
        self._opens: dict[tuple[date, time], datetime] = {}

    def find(self, instrument: InstrumentId) -> Instrument | None:
        """None: not listed, or no list has been loaded yet."""
        try:
            return self._directory.find(instrument)
        except InstrumentsNotLoaded:
            return None

    def tick_size(self, instrument: InstrumentId) -> Decimal | None:
        """Rupees; None: not listed, or no list has been loaded yet."""
        listed = self.find(instrument)
        return None if listed is None else listed.tick_size

    def is_listed(self, broker: BrokerName, instrument: InstrumentId) -> bool:
        """Whether the broker has a key for it, so that its feed can carry it."""
        return self._directory.token(broker, instrument) is not None

    def session_opens(self, instrument: InstrumentId, day: date) -> datetime | None:
        """When its session of that day begins. None: trading never stops, or it is not known: nothing is held back for it."""
        listed = self.find(instrument)
        try:
            exchange_day = self._calendar.day(day)
        except UnknownDay:
            return None
        if listed is None or exchange_day is None or exchange_day.is_always_open:
            return None
        opens = session_of(listed, exchange_day).opens
        # Thousands of stops share a handful of openings.
        if (day, opens) not in self._opens:
            self._opens[(day, opens)] = instant(day, opens)
        return self._opens[(day, opens)]

    def is_open(self) -> bool:
        """Whether any instrument trades now. A day the calendar does not know counts as open: silence is then looked into."""
        now = self._clock.now()
        today = trading_date(now)
        try:
            exchange_day = self._calendar.day(today)
        except UnknownDay:
            return True
        if exchange_day is None:
            return False
        closes = max(exchange_day.closes, DERIVATIVES_CLOSE) if exchange_day.is_regular else exchange_day.closes
        return instant(today, exchange_day.opens) <= now <= instant(today, closes)
