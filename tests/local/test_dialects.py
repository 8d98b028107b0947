"""The platform is pointed at exactly the dialects that the simulator has."""

from local.dialects import DIALECTS, port_options, url_settings
from local.settings import LocalSettings
from runtime.settings import Settings
from simulator.testing import running_simulator


async def test_the_addresses_are_what_the_dialects_say_themselves() -> None:
    async with running_simulator() as sim:
        dialects = sim.simulator.dialects
        assert {name: place.urls for name, place in DIALECTS.items()} == {
            name: dialect.urls("{at}") for name, dialect in dialects.items()
        }


def test_every_address_is_a_setting_of_the_platform() -> None:
    assert url_settings(LocalSettings()).keys() <= Settings.model_fields.keys()


def test_every_dialect_gets_the_port_of_its_setting() -> None:
    options = port_options(LocalSettings(simulator_kite_port=18090))
    assert options[:2] == ("--kite-port", "18090")
    assert len(options) == 2 * len(DIALECTS)
