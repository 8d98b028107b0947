"""The market data socket's bytes, both ways, and the prices they add up to."""

import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.fyers import frames
from brokers.fyers.ticks import DEPTH_FIELDS, NO_VALUE, SHARE_FIELDS, Feed, Snapshot, Update, decode_data
from trading.ports.broker import UnreadableAnswer

# A snapshot that was captured live, as SPRAGE/fyers-rs states it (src/ws/data_protocol.rs, fixtures/ws/data/captured): raw values
# of the fields it names; the rest of the frame is laid out as the broker's own client reads it.
SBIN = {
    "last_price": 106845,
    "bid_quantity": 14914,
    "ask_quantity": 0,
    "bid": 106845,
    "low": 106300,
    "high": 107770,
    "open": 107500,
    "close": 108690,
}
TOPIC = "sf|nse_cm|3045"


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def snapshot(values: list[int], *, topic: str = TOPIC, topic_id: int = 7, multiplier: int = 1, precision: int = 2) -> bytes:
    head = struct.pack(">BH", 83, topic_id) + text(topic) + bytes([len(values)])
    scale = struct.pack(">2xHB", multiplier, precision)
    return head + struct.pack(f">{len(values)}i", *values) + scale + text("NSE") + text("3045") + text("SBIN-EQ")


def update(values: list[int], *, topic_id: int = 7) -> bytes:
    return struct.pack(">BHB", 85, topic_id, len(values)) + struct.pack(f">{len(values)}i", *values)


def lite(price: int, *, topic_id: int = 7) -> bytes:
    return struct.pack(">BHi", 76, topic_id, price)


def data(*items: bytes, number: int = 1, count: int | None = None) -> bytes:
    body = struct.pack(">BIH", 6, number, len(items) if count is None else count) + b"".join(items)
    return struct.pack(">H", len(body)) + body


def sbin(**changes: int) -> list[int]:
    return [(SBIN | changes).get(name, 0) for name in SHARE_FIELDS]


def prices(feed: Feed, *items: bytes) -> list[str]:
    return [f"{price.topic} {price.last_price}" for price in feed.prices(decode_data(data(*items)).items)]


def test_a_snapshot_names_scales_and_gives_everything() -> None:
    (item,) = decode_data(data(snapshot(sbin()), number=9)).items
    assert isinstance(item, Snapshot)
    assert (item.topic, item.kind, len(item.values), str(item.unit)) == (TOPIC, "sf", 21, "0.01")
    assert (item.exchange, item.exchange_token, item.symbol) == ("NSE", "3045", "SBIN-EQ")
    feed = Feed()
    feed.prices([item])
    known = feed.fields(TOPIC)
    assert (str(known["last_price"]), str(known["close"]), str(known["open"])) == ("1068.45", "1086.90", "1075.00")
    assert (str(known["high"]), str(known["low"]), str(known["bid"])) == ("1077.70", "1063.00", "1068.45")
    assert (known["bid_quantity"], known["ask_quantity"]) == (14914, 0)


def test_updates_change_only_what_they_carry() -> None:
    feed = Feed()
    assert prices(feed, snapshot(sbin(last_trade_time=1690953622))) == [f"{TOPIC} 1068.45"]
    same = [NO_VALUE] * 21
    assert prices(feed, update([106850, *same[1:]])) == [f"{TOPIC} 1068.50"]
    assert prices(feed, update([NO_VALUE, 5, 1690953630, *same[3:]])) == [f"{TOPIC} 1068.50"]
    assert prices(feed, lite(106795)) == [f"{TOPIC} 1067.95"]
    assert prices(feed, lite(NO_VALUE)) == [f"{TOPIC} 1067.95"]
    assert (feed.fields(TOPIC)["volume"], feed.fields(TOPIC)["close"]) == (5, Decimal("1086.90"))


def test_the_time_is_that_of_the_last_trade() -> None:
    (price,) = Feed().prices(decode_data(data(snapshot(sbin(last_trade_time=1690953622, exchange_time=1690953700)))).items)
    assert price.event_time == datetime.fromtimestamp(1690953622, UTC)
    (price,) = Feed().prices(decode_data(data(snapshot(sbin()))).items)
    assert price.event_time is None


def test_every_price_of_a_frame_is_told_in_its_order() -> None:
    feed = Feed()
    other = snapshot(sbin(last_price=5), topic="sf|nse_cm|1", topic_id=8)
    found = prices(feed, snapshot(sbin()), other, update([106800]), lite(106700), update([6], topic_id=8))
    assert found == [f"{TOPIC} 1068.45", "sf|nse_cm|1 0.05", f"{TOPIC} 1068.00", f"{TOPIC} 1067.00", "sf|nse_cm|1 0.06"]


def test_an_update_before_its_snapshot_says_nothing() -> None:
    assert prices(Feed(), update([106800]), lite(106700)) == []


def test_a_snapshot_without_a_price_gives_none_until_there_is_one() -> None:
    feed = Feed()
    assert prices(feed, snapshot(sbin(last_price=NO_VALUE))) == []
    assert prices(feed, lite(106700)) == [f"{TOPIC} 1067.00"]


def test_a_new_snapshot_replaces_the_old_one_and_its_number_may_move() -> None:
    feed = Feed()
    prices(feed, snapshot(sbin()))
    assert prices(feed, snapshot(sbin(last_price=2618810), topic="if|nse_cm|Nifty 50", topic_id=7), lite(2618815)) == [
        "if|nse_cm|Nifty 50 26188.10",
        "if|nse_cm|Nifty 50 26188.15",
    ]


@pytest.mark.parametrize(
    ("multiplier", "precision", "price"), [(1, 2, "1068.45"), (1, 4, "10.6845"), (100, 2, "10.6845"), (1, 0, "106845")]
)
def test_the_scale_is_the_snapshots_own(multiplier: int, precision: int, price: str) -> None:
    assert prices(Feed(), snapshot(sbin(), multiplier=multiplier, precision=precision)) == [f"{TOPIC} {price}"]


def test_an_index_has_fields_of_its_own_and_its_trailing_block() -> None:
    feed = Feed()
    values = [2618810, 2621605, 1727428424, 2627735, 2616695, 2624825]
    index = snapshot(values, topic="if|nse_cm|Nifty 50", topic_id=11)
    assert prices(feed, index, snapshot(sbin())) == ["if|nse_cm|Nifty 50 26188.10", f"{TOPIC} 1068.45"]
    known = feed.fields("if|nse_cm|Nifty 50")
    assert (str(known["close"]), str(known["high"]), str(known["low"]), str(known["open"])) == (
        "26216.05",
        "26277.35",
        "26166.95",
        "26248.25",
    )
    assert known["exchange_time"] == 1727428424


def test_depth_carries_no_last_price() -> None:
    values = [106845 - 5 * level for level in range(5)] + [106850 + 5 * level for level in range(5)] + list(range(20))
    feed = Feed()
    assert prices(feed, snapshot(values, topic="dp|nse_cm|3045")) == []
    known = feed.fields("dp|nse_cm|3045")
    assert len(DEPTH_FIELDS) == len(values) == 30
    assert (str(known["bid_5"]), str(known["ask_1"]), known["bid_quantity_1"], known["ask_orders_5"]) == (
        "1068.25",
        "1068.50",
        0,
        19,
    )


@pytest.mark.parametrize("length", range(1, len(data(snapshot([1, 2]), update([3, 4])))))
def test_a_frame_cut_anywhere_is_unreadable(length: int) -> None:
    with pytest.raises(UnreadableAnswer):
        decode_data(data(snapshot([1, 2]), update([3, 4]))[:length])


@pytest.mark.parametrize(
    "frame",
    [
        data(b"\x01\x00\x07\x00"),
        data(count=1),
        data(snapshot(sbin(), multiplier=0)),
        data(snapshot(sbin(), precision=200)),
    ],
)
def test_what_nobody_understands_is_unreadable(frame: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        decode_data(frame)


def test_an_update_alone_keeps_its_number() -> None:
    assert decode_data(data(update([1]), number=41)).message_number == 41
    assert decode_data(data(lite(5, topic_id=65535))).items == (Update(65535, (5,)),)


def test_we_show_our_key_as_the_brokers_client_does() -> None:
    frame = frames.auth_frame("ab12")
    assert frame[:4] == bytes([0, len(frame) - 2, 1, 4])
    assert frame[4:] == b"\x01\x00\x04ab12" + b"\x02\x00\x01P" + b"\x03\x00\x01\x01" + b"\x04\x00\x0calgo-trading"


def test_we_ask_for_topics_on_channel_eleven() -> None:
    (frame,) = frames.subscribe_frames([TOPIC])
    assert frame[2:] == b"\x04\x02" + b"\x01\x00\x11" + b"\x00\x01" + b"\x0e" + TOPIC.encode() + b"\x02\x00\x01\x0b"
    (frame,) = frames.unsubscribe_frames([TOPIC])
    assert frame[2] == 5
    assert (
        frames.mode_frame(frames.FULL_MODE)[2:]
        == b"\x0c\x02" + b"\x01\x00\x08\x00\x00\x00\x00\x00\x00\x08\x00" + b"\x02\x00\x01F"
    )
    assert frames.acknowledge_frame(258)[2:] == b"\x03\x01" + b"\x01\x00\x04\x00\x00\x01\x02"


def test_many_topics_go_in_several_frames() -> None:
    topics = [f"sf|nse_cm|{number}" for number in range(3_001)]
    assert [int.from_bytes(frame[7:9], "big") for frame in frames.subscribe_frames(topics)] == [1500, 1500, 1]
    assert frames.subscribe_frames([]) == []


def test_answers_are_read_and_may_carry_more_than_we_know() -> None:
    accepted = b"\x00\x15\x01\x03" + b"\x01\x00\x01K" + b"\x02\x00\x04\x00\x00\x00\x05" + b"\x09\x00\x02{}"
    assert frames.read_reply(accepted) == frames.Reply(frames.AUTH, accepted=True, acknowledge_every=5)
    assert frames.read_reply(b"\x00\x06\x01\x01\x01\x00\x01E") == frames.Reply(frames.AUTH, accepted=False)
    subscribed = b"\x00\x0b\x04\x02" + b"\x01\x00\x01K" + b"\x02\x00\x02\xff\xff"
    assert frames.read_reply(subscribed) == frames.Reply(frames.SUBSCRIBE, accepted=True)


def test_words_of_the_server_are_read() -> None:
    body = b"\x33\x03" + b"\x01\x00\x04" + (51001).to_bytes(4, "big") + b"\x02\x00\x05limit" + b"\x03\x00\x01\x04"
    assert frames.read_message(b"\x00\x19" + body) == frames.ServerMessage(51001, "limit", frames.SUBSCRIBE)


@pytest.mark.parametrize("frame", [b"\x00\x01\x01", b"\x00\x06\x01\x01\x01\x00\x64E", b"\x00\x06\x01\x02\x01\x00\x01K"])
def test_a_damaged_answer_is_unreadable(frame: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        frames.read_reply(frame)


@pytest.mark.parametrize("frame", [b"", b"\x00\x01"])
def test_a_frame_without_a_type_is_unreadable(frame: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        frames.frame_type(frame)
