"""Price sources: walk, hand, ramp, replay."""

from pathlib import Path

import pytest

from simulator.exchange.engine import Exchange
from simulator.log import ExchangeLog
from simulator.money import to_price
from simulator.prices import PriceBoard, Ramp, Replay, read_replay
from tests.simulator.market import TCS, Bench


class Board:
    """A price board whose time is given step by step."""

    def __init__(self, bench: Bench, seed: int = 1) -> None:
        self.exchange: Exchange = bench.exchange
        self.log = ExchangeLog()
        self.board = PriceBoard(bench.exchange, self.log, seed=seed)
        self.prices: list[int] = []
        bench.exchange.on_prices.append(lambda markets: self.prices.extend(market.last_price for market in markets))

    def run(self, seconds: float, step: float = 0.05) -> list[float]:
        """Prices of the next so many seconds, in rupees."""
        start = max((due.started for due in self.board._queue), default=0.0)
        for number in range(round(seconds / step) + 1):
            self.board.step(start + number * step)
        found, self.prices[:] = [price / 10_000 for price in self.prices], []
        return found


@pytest.fixture
def board(bench: Bench) -> Board:
    return Board(bench)


def test_a_walk_moves_once_an_interval_on_the_tick_the_same_way_for_the_same_seed() -> None:
    def walk(seed: int) -> list[float]:
        board = Board(Bench(), seed)
        board.board.walk(TCS, interval_seconds=1)
        return board.run(20)

    first = walk(1)
    assert len(first) == 21
    assert len(set(first)) > 5
    assert all(round(price * 10) == pytest.approx(price * 10) for price in first)
    assert first == walk(1) != walk(2)


def test_a_walk_stays_inside_the_circuit_limits(board: Board) -> None:
    board.exchange.set_circuit(TCS, lower=to_price(3595), upper=to_price(3605))
    board.board.walk(TCS, interval_seconds=0.1, step_bps=50)
    prices = board.run(20)
    assert (min(prices), max(prices)) == (3595.1, 3604.9)


def test_a_price_set_by_hand_is_held_and_logged_with_its_sending_time(board: Board) -> None:
    board.board.walk(TCS)
    sent_ns = board.board.set({TCS: to_price(3490)})
    assert board.run(20) == [3490]
    assert board.board.source(TCS) == "hand"
    (entry,) = board.log.since(0, action="price")
    assert (entry["prices"], entry["sent_ns"]) == ({TCS: 3490}, sent_ns)


def test_a_ramp_goes_in_a_line_ends_exactly_and_is_held(board: Board) -> None:
    board.board.use(TCS, Ramp(to_price(3490), seconds=10, interval_seconds=1))
    prices = board.run(12)
    assert prices == [3600, 3589, 3578, 3567, 3556, 3545, 3534, 3523, 3512, 3501, 3490]
    assert board.board.source(TCS) == "hand"


def test_a_recording_plays_at_its_own_times(board: Board) -> None:
    board.board.use(TCS, Replay([(0.0, to_price(3601)), (1.0, to_price(3602)), (2.5, to_price(3603))], speed=2))
    assert board.run(0.45) == [3601]
    assert board.run(1.3) == [3602, 3603]


def test_a_recording_can_be_repeated(board: Board) -> None:
    board.board.use(TCS, Replay([(0.0, to_price(3601)), (1.0, to_price(3602))], loop=True))
    assert board.run(3.2)[:6] == [3601, 3602, 3601, 3602]


def test_prices_stand_still_while_the_market_is_closed(board: Board) -> None:
    from simulator.exchange.sessions import Hours

    board.exchange.hours = Hours.CLOSED
    board.board.walk(TCS)
    assert board.run(5) == []


def test_a_recording_is_read_by_symbol_and_time(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("offset_seconds,symbol,price\n1.5,TCS,3490.5\n0,TCS,3500\n0,BSE:TCS,3501\n")
    recorded = read_replay(file)
    assert recorded == {
        "NSE:TCS": [(0.0, to_price(3500)), (1.5, to_price("3490.5"))],
        "BSE:TCS": [(0.0, to_price(3501))],
    }
