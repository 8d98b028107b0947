"""What a user may name as a target: never a way to this machine, its network, or a file of it."""

import pytest

from runtime.user_targets import TargetNotAllowed, check_address

ALLOWED = ("hooks.example.com",)


@pytest.mark.parametrize(
    "address",
    [
        "tgram://123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/987654321",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "jsons://hooks.example.com/path",
        "JSONS://HOOKS.example.com/path",
    ],
)
def test_services_with_hosts_of_their_own_and_hosts_the_operator_listed_are_allowed(address: str) -> None:
    assert check_address(address, hosts=ALLOWED) == address.partition("://")[0].lower()


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1:6379/",
        "json://localhost/",
        "jsons://169.254.169.254/latest/meta-data",
        "json://[::1]/",
        "json://2130706433/",
        "jsons://other.example.com/",
        "jsons://hooks.example.com@evil.example/",
        "jsons://hooks.example.com#@evil.example/",
        "jsons://evil.example#@hooks.example.com/",
        "jsons://hooks.example.com\\@evil.example/",
        "jsons://hooks.example.com.evil.example/",
        "jsons://hooks.example.com/?attach=/etc/passwd",
        "tgram://123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/987654321/?image=yes",
        "mailtos://user:pass@hooks.example.com/?smtp=10.0.0.1",
        "ntfy://127.0.0.1/topic",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "file:///etc/passwd",
        "exec://rm",
        "syslog://",
        "dbus://",
        "windows://",
        "tgram://",
        "tgram://a b",
        "nonsense",
        "",
    ],
)
def test_everything_else_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(TargetNotAllowed) as refusal:
        check_address(address, hosts=ALLOWED)
    assert not address or address not in str(refusal.value)


def test_without_the_operators_word_no_host_may_be_named() -> None:
    with pytest.raises(TargetNotAllowed):
        check_address("jsons://hooks.example.com/", hosts=())
