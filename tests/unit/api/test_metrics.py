import pytest

from runtime.metrics import TABLE, Kind, PrometheusMetrics


def test_every_name_of_the_table_can_be_recorded_and_is_rendered() -> None:
    metrics = PrometheusMetrics()
    for name, metric in TABLE.items():
        labels = dict.fromkeys(metric.labels, "x")
        record = {Kind.COUNTER: metrics.count, Kind.HISTOGRAM: metrics.observe, Kind.GAUGE: metrics.gauge}[metric.kind]
        record(name, 1, **labels)
    rendered = metrics.render().decode()
    assert all(f"algo_{name}" in rendered for name in TABLE)


@pytest.mark.parametrize("record", ["count", "observe", "gauge"])
def test_an_unknown_name_raises(record: str) -> None:
    with pytest.raises(KeyError):
        getattr(PrometheusMetrics(), record)("no_such_metric", 1)


def test_a_wrong_label_raises() -> None:
    with pytest.raises(ValueError):
        PrometheusMetrics().count("orders_sent", leg="entry", colour="red")


def test_a_forgotten_label_raises() -> None:
    with pytest.raises(ValueError):
        PrometheusMetrics().count("orders_sent")
