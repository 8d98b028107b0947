"""Paper books are judged as the exchange's log is: a clean one has no violation, and each way of spoiling it is seen."""

from dataclasses import replace
from decimal import Decimal

from tests.chaos.evidence import Evidence, RunFacts
from tests.chaos.judge import judge
from tests.chaos.made_up import ACCOUNT, Log, run
from tests.chaos.paper import PaperAccountFacts, PaperBooks, PaperOrderFacts, PaperTradeFacts

TCS = "NSE:TCS"


def _order(tag: str, side: str, at: float, *, until: float = 0.0, filled: int = 10, state: str = "complete") -> PaperOrderFacts:
    return PaperOrderFacts(ACCOUNT, f"por_{tag}", tag, TCS, side, filled, state, placed_at=at, changed_at=until or at)


def _trade(tag: str, side: str, at: float, *, price: int, quantity: int = 10) -> PaperTradeFacts:
    return PaperTradeFacts(ACCOUNT, f"por_{tag}", TCS, side, quantity, Decimal(price), filled_at=at)


def _account(*, cash: int, held: int = 0) -> PaperAccountFacts:
    return PaperAccountFacts(ACCOUNT, Decimal(100_000), Decimal(cash), ((TCS, held),) if held else ())


def _clean() -> PaperBooks:
    """Ten bought at 100 s for 3,600 and sold, once the stop was crossed at 110 s, for 3,490."""
    return PaperBooks(
        (_account(cash=98_900),),
        (_order("buy", "BUY", 100), _order("sell", "SELL", 110.1)),
        (_trade("buy", "BUY", 100, price=3600), _trade("sell", "SELL", 110.1, price=3490)),
    )


def _market() -> Log:
    log = Log()
    log.price(50, "3600")
    log.price(110, "3490")
    log.price(200, "3490")
    return log


def _evidence(books: PaperBooks, *runs: RunFacts) -> Evidence:
    return Evidence((*books.log(), *_market().entries), runs or (run(),), paper=books)


def _rules(books: PaperBooks, *runs: RunFacts) -> list[str]:
    return [violation.rule for violation in judge(_evidence(books, *runs)).violations]


def test_a_clean_book_has_no_violations_and_its_stop_is_answered() -> None:
    verdict = judge(_evidence(_clean()))
    assert verdict.violations == ()
    assert [round(answer.seconds, 3) for answer in verdict.answers] == [0.1]


def test_an_attempt_in_the_book_twice_was_sent_twice() -> None:
    books = _clean()
    again = replace(books.orders[0], order_id="por_once more", filled_quantity=0, state="cancelled")
    assert _rules(replace(books, orders=(*books.orders, again))) == ["an attempt was sent twice"]


def test_an_order_without_a_row_is_seen_and_one_of_a_reset_is_its_owners() -> None:
    books = _clean()
    stranger = _order("stranger", "BUY", 150, filled=0, state="cancelled")
    assert _rules(replace(books, orders=(*books.orders, stranger))) == ["an order nobody wrote down"]
    assert _rules(replace(books, orders=(*books.orders, replace(stranger, tag=None)))) == []


def test_a_run_that_sold_less_or_more_than_it_says_is_seen() -> None:
    books = _clean()
    assert _rules(books, run(sold=6, left_open_at=109.0)) == ["rows and exchange differ"]
    oversold = PaperBooks(
        (_account(cash=98_900 + 3490, held=-1),),
        (*books.orders, _order("again", "SELL", 112, filled=1)),
        (*books.trades, _trade("again", "SELL", 112, price=3490, quantity=1)),
    )
    assert _rules(oversold) == [
        "a run sold more than it bought",
        "more was sold than was there",
        "rows and exchange differ",
        "a paper book contradicts itself",
    ]


def test_two_exits_in_the_book_at_once_are_seen() -> None:
    books = _clean()
    first = _order("sell", "SELL", 110.1, until=111, filled=0, state="cancelled")
    then = _order("again", "SELL", 111.5)
    sold = (books.trades[0], _trade("again", "SELL", 111.5, price=3490))
    assert _rules(PaperBooks(books.accounts, (books.orders[0], first, then), sold)) == []
    beside = replace(then, placed_at=110.5)
    assert _rules(PaperBooks(books.accounts, (books.orders[0], first, beside), sold)) == ["two exits at once"]


def test_a_crossed_stop_without_an_exit_in_the_book_is_seen() -> None:
    bought = PaperBooks((_account(cash=64_000, held=10),), _clean().orders[:1], _clean().trades[:1])
    kept = run(sold=0, is_ended=False, alarms=("run_needs_person",))
    assert _rules(bought, kept) == ["a crossed stop was not answered"]


def test_a_book_whose_cash_shares_or_fills_do_not_add_up_is_seen() -> None:
    books = _clean()
    (account,) = books.accounts
    for spoilt in (
        replace(books, accounts=(replace(account, cash=Decimal(98_901)),)),
        replace(books, accounts=(replace(account, held=((TCS, 1),)),)),
        replace(books, orders=(books.orders[0], replace(books.orders[1], filled_quantity=9))),
    ):
        assert _rules(spoilt) == ["a paper book contradicts itself"]
