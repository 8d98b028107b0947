"""When a broker counts as away: after some seconds without a look that succeeds, or without an order that is answered."""

from execution.broker_health import FORGOTTEN_SECONDS, TROUBLE_SECONDS, BrokerHealth


def test_a_book_that_stays_unreadable_is_trouble_until_it_is_read() -> None:
    health = BrokerHealth()
    health.read_failed(100.0)
    assert health.trouble(100.0 + TROUBLE_SECONDS - 0.1) is None
    health.read_failed(103.0)
    assert health.trouble(100.0 + TROUBLE_SECONDS) == "its order book cannot be read"
    health.read_succeeded()
    assert (health.trouble(106.0), health.is_well(106.0)) == (None, True)


def test_orders_without_an_answer_are_trouble_though_the_book_is_read() -> None:
    health = BrokerHealth()
    health.write_unanswered(100.0)
    health.read_succeeded()
    assert (health.trouble(200.0), health.is_well(101.0)) == (None, False), "one alone is a doubt, not an outage"
    health.write_unanswered(100.0 + TROUBLE_SECONDS)
    assert health.trouble(107.0) == "orders get no clear answer"
    health.write_answered()
    assert (health.trouble(108.0), health.is_well(108.0)) == (None, True)


def test_orders_without_an_answer_are_forgotten_after_a_while_without_another() -> None:
    health = BrokerHealth()
    for at in (100.0, 110.0):
        health.write_unanswered(at)
    health.read_succeeded()
    assert not health.is_well(110.0 + FORGOTTEN_SECONDS - 1)
    assert health.is_well(110.0 + FORGOTTEN_SECONDS)
    assert health.trouble(110.0 + FORGOTTEN_SECONDS) is None


def test_before_anything_was_read_nothing_is_proven_well() -> None:
    health = BrokerHealth()
    assert not health.is_well(0.0)
    health.read_failed(1.0)
    assert not health.is_well(2.0)
