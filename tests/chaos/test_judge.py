"""The judge sees each violation in a made-up log, and none in a clean one."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.chaos.evidence import OrderFacts, RunFacts
from tests.chaos.judge import Verdict, judge
from tests.chaos.made_up import ACCOUNT, Log, clean_log, evidence, run


def _verdict(log: Log, *runs: RunFacts) -> Verdict:
    return judge(evidence(log, runs or (run(),)))


def _rules(log: Log, *runs: RunFacts) -> list[str]:
    return [violation.rule for violation in _verdict(log, *runs).violations]


def test_a_clean_trade_has_no_violations_and_its_answer_is_measured() -> None:
    verdict = _verdict(clean_log())
    assert verdict.violations == ()
    assert [round(answer.seconds, 3) for answer in verdict.answers] == [0.1]


def test_a_tag_that_arrives_twice_was_sent_twice_even_if_it_was_refused() -> None:
    log = clean_log()
    log.place(111, "sell", "SELL", outcome="not accepted")
    assert _rules(log) == ["an attempt was sent twice"]


def test_an_order_without_a_row_is_a_violation() -> None:
    log = clean_log()
    log.place(112, "stranger", "BUY")
    assert _rules(log) == ["an order nobody wrote down"]


def test_what_the_user_places_by_hand_needs_no_row() -> None:
    log = clean_log()
    log.by_hand(112, "BUY", 3)
    assert _rules(log) == []


def test_a_run_that_sells_more_than_it_bought_is_seen_while_it_happens() -> None:
    log = clean_log()
    log.trade(112, "again", "SELL", 4)
    assert _rules(log, run(sold=14, end_reason="stop_loss", taken_elsewhere=-4)) == [
        "a run sold more than it bought",
        "more was sold than was there",
    ]


def test_what_the_user_sold_long_ago_must_not_be_sold_again() -> None:
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.by_hand(101, "SELL", 10)
    log.trade(180, "sell", "SELL")
    assert _rules(log) == ["more was sold than was there"]


def test_what_the_user_sells_in_the_same_moment_is_a_race_and_named() -> None:
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.by_hand(109.9, "SELL", 10)
    log.trade(110, "sell", "SELL")
    verdict = _verdict(log)
    assert verdict.violations == ()
    assert verdict.races_with_the_user == (f"{ACCOUNT} NSE:TCS: -10",)


def test_a_short_that_the_user_made_before_is_his_own() -> None:
    log = Log()
    log.price(50, "3600")
    log.by_hand(40, "SELL", 10)
    log.trade(100, "buy", "BUY")
    log.trade(110, "sell", "SELL")
    assert _rules(log) == []
    log.trade(111, "again", "SELL", 4)
    assert "more was sold than was there" in _rules(log, run(sold=14))


def test_a_short_that_the_user_has_covered_covers_nothing_more() -> None:
    log = Log()
    log.price(50, "3600")
    log.by_hand(20, "SELL", 10)
    log.by_hand(30, "BUY", 10)
    log.trade(100, "buy", "BUY")
    log.trade(110, "sell", "SELL")
    log.trade(111, "again", "SELL", 4)
    assert "more was sold than was there" in _rules(log, run(sold=14))


def test_a_run_that_met_its_owners_sale_ends_with_an_alarm() -> None:
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.by_hand(109.9, "SELL", 10)
    log.trade(110, "sell", "SELL")
    met = run(sold=10, taken_elsewhere=10, end_reason="handed_over")
    assert _rules(log, met) == ["a run ended with shares"]
    assert _rules(log, replace(met, alarms=("oversold",))) == []


def test_the_users_own_shares_are_no_cover_for_selling_too_much() -> None:
    log = Log()
    log.by_hand(90, "BUY", 50)
    for entry in clean_log().entries:
        log.entries.append(entry)
    log.trade(112, "again", "SELL", 5)
    assert "a run sold more than it bought" in _rules(log, run(sold=15))


def test_a_second_exit_beside_a_living_one_is_a_violation() -> None:
    log = Log()
    log.trade(100, "buy", "BUY")
    log.place(110, "sell", "SELL")
    log.trade(111, "again", "SELL")
    assert _rules(log) == ["two exits at once"]


def test_a_second_exit_after_the_first_is_dead_is_fine() -> None:
    log = Log()
    log.trade(100, "buy", "BUY")
    log.place(110, "sell", "SELL")
    log.terminal(110.5, "sell")
    log.trade(111, "again", "SELL")
    assert _rules(log) == []


@pytest.mark.parametrize(("arrives", "rules"), [(132.0, []), (133.0, ["an entry after its deadline"])])
def test_an_entry_may_arrive_as_long_as_its_claim_may_be_sent(arrives: float, rules: list[str]) -> None:
    log = Log()
    log.trade(arrives, "buy", "BUY")
    log.trade(140, "sell", "SELL")
    assert _rules(log) == rules


def test_rows_that_differ_from_the_exchange_are_a_violation() -> None:
    assert _rules(clean_log(), run(sold=6, taken_elsewhere=4)) == ["rows and exchange differ", "shares were written off"]


def test_a_run_that_ended_with_shares_is_a_violation_unless_its_owner_kept_them() -> None:
    log = Log()
    log.trade(100, "buy", "BUY")
    assert _rules(log, run(sold=0)) == ["a run ended with shares"]
    assert _rules(log, run(sold=0, left_open_at=105.0)) == []


def test_a_run_that_does_not_end_needs_an_alarm_and_is_named() -> None:
    log = Log()
    log.trade(100, "buy", "BUY")
    open_run = run(sold=0, is_ended=False)
    assert _rules(log, open_run) == ["a run does not end and nobody is told"]
    verdict = _verdict(log, replace(open_run, alarms=("token_expired",)))
    assert verdict.violations == ()
    assert verdict.handed_over == (f"{ACCOUNT} TCS run_1: token_expired",)


def test_shares_are_written_off_only_against_a_sale_by_hand() -> None:
    log = Log()
    log.trade(100, "buy", "BUY")
    closed = run(sold=0, taken_elsewhere=10, end_reason="closed_elsewhere")
    assert _rules(log, closed) == ["shares were written off"]
    log.by_hand(101, "SELL", 10)
    assert _rules(log, closed) == []


def test_shares_an_exit_sold_beside_its_owner_are_gone_from_whoever_buys_next() -> None:
    """The owner's sale and the exit together left the account short; of what is bought next, the rest is all there is."""
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.by_hand(109.9, "SELL", 10)
    log.trade(110, "sell", "SELL")
    log.trade(120, "buy next", "BUY", 13)
    log.trade(130, "sell next", "SELL", 3)
    met = run(sold=10, taken_elsewhere=10, end_reason="handed_over", alarms=("oversold",))
    orders = (OrderFacts("buy next", "entry", deadline=150.0), OrderFacts("sell next", "exit"))
    after = run(run_id="run_2", orders=orders, bought=13, sold=3, taken_elsewhere=10, end_reason="closed_elsewhere")
    assert _rules(log, met, after) == []
    once_more = replace(after, sold=0, taken_elsewhere=13)
    assert "shares were written off" in _rules(log, met, once_more)


# --- stops --------------------------------------------------------------------------------------------------------------


def _held() -> Log:
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    return log


def test_a_stop_that_stays_crossed_and_is_never_answered_is_a_violation() -> None:
    log = _held()
    log.price(110, "3500")
    log.price(140, "3490")
    kept = run(sold=0, is_ended=False, alarms=("run_needs_person",))
    assert _rules(log, kept) == ["a crossed stop was not answered"]


def test_a_stop_answered_after_a_minute_is_a_violation_and_measured() -> None:
    log = _held()
    log.price(110, "3490")
    log.trade(175, "sell", "SELL")
    verdict = _verdict(log)
    assert [violation.rule for violation in verdict.violations] == ["a crossed stop was not answered"]
    assert [answer.seconds for answer in verdict.answers] == [65.0]


def test_a_crossing_that_is_over_in_a_moment_is_counted_not_judged() -> None:
    log = _held()
    log.price(110, "3490")
    log.price(115, "3600")
    log.trade(150, "sell", "SELL")
    verdict = _verdict(log)
    assert (verdict.violations, verdict.answers, verdict.brief_crossings) == ((), (), 1)


def test_a_sale_right_after_the_end_of_a_crossing_answers_it_as_late_as_it_is() -> None:
    log = _held()
    log.price(110, "3490")
    log.price(138, "3600")
    log.trade(139, "sell", "SELL")
    verdict = _verdict(log)
    assert (verdict.violations, [answer.seconds for answer in verdict.answers]) == ((), [29.0])


def test_a_stop_counts_from_the_moment_it_is_in_force() -> None:
    log = _held()
    log.trade(150, "sell", "SELL")
    moved = run(stops=((0.0, Decimal(3500)), (149.5, Decimal(3600))))
    assert [answer.seconds for answer in _verdict(log, moved).answers] == [0.5]


def test_an_owner_may_keep_the_shares_while_their_exit_is_still_in_doubt() -> None:
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.price(109, "3490")
    log.price(200, "3490")
    assert _rules(log, run(sold=0, left_open_at=131.0)) == []
    assert _rules(log, run(sold=0, left_open_at=170.0)) == ["a crossed stop was not answered"]


def test_an_owner_may_move_a_crossed_stop_away_while_its_exit_could_still_come() -> None:
    log = _held()
    log.price(110, "3490")
    log.price(250, "3490")
    kept = run(sold=0, left_open_at=250.0)
    assert _rules(log, replace(kept, stops=((0.0, Decimal(3500)), (131.0, Decimal(3480))))) == []
    assert _rules(log, replace(kept, stops=((0.0, Decimal(3500)), (171.0, Decimal(3480))))) == ["a crossed stop was not answered"]


def test_nobody_watches_a_stop_whose_position_was_kept() -> None:
    log = _held()
    log.price(110, "3490")
    log.price(200, "3490")
    assert _rules(log, run(sold=0, left_open_at=105.0)) == []


def test_an_exit_that_was_refused_still_answers_its_stop() -> None:
    log = _held()
    log.price(110, "3490")
    log.place(110.2, "sell", "SELL", outcome="400 InputException")
    log.price(170, "3490")
    facts = run(sold=0, is_ended=False, alarms=("run_needs_person",), orders=(*run().orders, OrderFacts("later", "exit")))
    assert _rules(log, facts) == []


def test_an_exit_refused_for_an_expired_login_has_no_account_and_still_answers_its_stop() -> None:
    log = _held()
    log.price(110, "3490")
    log.place(110.2, "sell", "SELL", outcome="403 TokenException")
    log.entries[-1]["account"] = None
    log.price(140, "3600")
    log.trade(175, "again", "SELL")
    assert _rules(log) == []
