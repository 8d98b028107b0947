from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import prices
from trading.runs import (
    END_REASON_OF_EXIT,
    OPEN_RUN_STATES,
    PAISA,
    STRATEGY_STATE_OF_END,
    EndReason,
    ExitReason,
    Holding,
    Position,
    RunState,
    StrategyState,
)

QUANTITIES = st.integers(1, 10_000)


@st.composite
def holdings(draw: st.DrawFn, *, by_hand: bool = False) -> Holding:
    """What a run may hold: some bought, at most that much sold or (with `by_hand`) taken by somebody else."""
    bought = draw(QUANTITIES)
    sold = draw(st.integers(0, bought))
    taken = draw(st.integers(0, bought - sold)) if by_hand else 0
    buy_value = bought * draw(prices(most="10000"))
    sell_value = sold * draw(prices(most="10000"))
    return Holding(bought, buy_value, sold, sell_value, taken)


@given(holding=holdings(), last_price=prices(most="10000"))
def test_profit_made_and_profit_on_paper_add_up_to_what_the_money_says(holding: Holding, last_price: Decimal) -> None:
    in_all = holding.sell_value + holding.open_quantity * last_price - holding.buy_value
    shown = holding.realised_pnl + holding.unrealised_pnl(last_price)
    assert abs(shown - in_all) <= PAISA


@given(holdings())
def test_the_profit_of_a_flat_run_is_what_it_sold_for_less_what_it_paid(holding: Holding) -> None:
    if holding.is_flat:
        assert abs(holding.realised_pnl - (holding.sell_value - holding.buy_value)) <= PAISA / 2


@given(holdings(by_hand=True), prices(most="10000"))
def test_money_is_shown_to_the_paisa(holding: Holding, last_price: Decimal) -> None:
    assert holding.realised_pnl == holding.realised_pnl.quantize(PAISA)
    assert holding.unrealised_pnl(last_price) == holding.unrealised_pnl(last_price).quantize(PAISA)


@given(holdings(by_hand=True))
def test_shares_are_held_sold_or_taken_and_none_is_lost(holding: Holding) -> None:
    assert holding.open_quantity + holding.sold + holding.taken_elsewhere == holding.bought
    assert holding.is_flat is (holding.open_quantity == 0)


@given(holdings(by_hand=True), prices(most="10000"))
def test_shares_somebody_else_sold_bring_this_run_neither_profit_nor_loss(holding: Holding, last_price: Decimal) -> None:
    without = Holding(holding.bought, holding.buy_value, holding.sold, holding.sell_value)
    assert holding.realised_pnl == without.realised_pnl
    if holding.is_flat:
        assert holding.unrealised_pnl(last_price) == 0


def test_a_run_that_bought_nothing_earned_nothing() -> None:
    assert Holding().realised_pnl == Holding().unrealised_pnl(Decimal(100)) == 0


def test_a_worked_example() -> None:
    holding = Holding(bought=100, buy_value=Decimal("350000.00"), sold=40, sell_value=Decimal("141000.00"))
    assert holding.realised_pnl == Decimal("1000.00")
    assert holding.unrealised_pnl(Decimal("3490.00")) == Decimal("-600.00")


@pytest.mark.parametrize("reason", [None, *ExitReason])
def test_the_position_is_none_before_and_bought_until_the_last_share_is_gone(reason: ExitReason | None) -> None:
    assert Holding().position(reason) is Position.NONE
    assert Holding(100, Decimal(1)).position(reason) is Position.BOUGHT
    assert Holding(100, Decimal(1), 99, Decimal(1)).position(reason) is Position.BOUGHT


@pytest.mark.parametrize("reason", [None, *ExitReason])
def test_a_flat_position_says_whether_the_stop_sold_it(reason: ExitReason | None) -> None:
    expected = Position.EXITED_BY_SL if reason is ExitReason.STOP_LOSS else Position.SOLD
    assert Holding(100, Decimal(1), 100, Decimal(1)).position(reason) is expected


def test_a_position_closed_by_hand_is_sold() -> None:
    assert Holding(100, Decimal(1), 60, Decimal(1), taken_elsewhere=40).position(ExitReason.SELL_TIME) is Position.SOLD


@pytest.mark.parametrize("other", list(ExitReason))
def test_a_stop_beats_every_other_reason_and_nothing_beats_it(other: ExitReason) -> None:
    assert ExitReason.STOP_LOSS.beats(other) is (other is not ExitReason.STOP_LOSS)
    assert not other.beats(ExitReason.STOP_LOSS)


def test_reasons_have_one_order() -> None:
    ranked = [
        ExitReason.STOP_LOSS,
        ExitReason.KILL_SWITCH,
        ExitReason.USER_STOP,
        ExitReason.TARGET,
        ExitReason.SELL_TIME,
        ExitReason.LATE_FILL,
    ]
    for first in ExitReason:
        for second in ExitReason:
            assert first.beats(second) is (ranked.index(first) < ranked.index(second))


def test_every_exit_reason_has_its_end_and_every_end_its_strategy_state() -> None:
    assert set(END_REASON_OF_EXIT) == set(ExitReason)
    assert set(STRATEGY_STATE_OF_END) == set(EndReason)
    assert set(STRATEGY_STATE_OF_END.values()) == {StrategyState.COMPLETED, StrategyState.STOPPED, StrategyState.FAILED}


def test_a_run_is_open_until_it_has_ended() -> None:
    assert set(OPEN_RUN_STATES) == set(RunState) - {RunState.ENDED}
