"""A taken port is one sentence that names the way out."""

import socket

import pytest

from local.errors import StackError
from local.parts.temporal import TemporalPorts
from local.ports import LOOPBACK, free_ports, port_is_taken, require_free_port


def test_a_taken_port_is_named_with_the_setting_that_moves_it() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError) as refusal:
            require_free_port(port, purpose="the API", setting="API_PORT")
    assert str(refusal.value) == (
        f"port {port} for the API is taken by another program: end it, or choose another port with API_PORT"
    )


def test_a_port_of_a_server_that_has_just_ended_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            connection, _ = server.accept()
            connection.close()  # the side that closes first keeps the port busy for a while (TIME_WAIT)
    assert not port_is_taken(port)


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(50))) == 50


def test_temporal_keeps_its_usual_ports_when_it_is_not_moved() -> None:
    assert TemporalPorts.from_frontend(7233).all() == (7233, 7234, 7235, 7239, 7243, 6933, 6934, 6935, 6939)


def test_temporal_moves_as_a_whole() -> None:
    usual, moved = TemporalPorts.from_frontend(7233).all(), TemporalPorts.from_frontend(17233).all()
    assert {port + 10_000 for port in usual} == set(moved)
