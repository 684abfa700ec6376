"""A destination is understood or refused in one line; what leaves the machine is protected."""

from pathlib import Path

import pytest

from moodspace.realtime.sinks.destination import (
    Destination,
    SinkError,
    SinkOptions,
    destinations_of,
    is_loopback,
    parse_destination,
    protected,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ws://127.0.0.1:8770", ("ws", "127.0.0.1", 8770, "")),
        ("ws://localhost", ("ws", "localhost", 8770, "")),
        ("wss://[::1]:1/", ("wss", "::1", 1, "")),
        ("OSC://Stage:9000", ("osc", "stage", 9000, "")),
        ("mqtt://broker/lab/room 1", ("mqtt", "broker", 1883, "lab/room 1")),
        ("mqtts://broker:99/x", ("mqtts", "broker", 99, "x")),
        ("lsl:moodspace", ("lsl", "", 0, "moodspace")),
        ("a b.jsonl", ("jsonl", "", 0, "a b.jsonl")),
        ("out/B.PARQUET", ("parquet", "", 0, "out/B.PARQUET")),
        (r"C:\out\b.parquet", ("parquet", "", 0, r"C:\out\b.parquet")),
    ],
)
def test_it_is_understood(text: str, expected: tuple[str, str, int, str]) -> None:
    one = parse_destination(text)
    assert (one.kind, one.host, one.port, one.path) == expected


def test_a_destination_is_named_once() -> None:
    for twice in (["a.jsonl", "./a.jsonl"], ["ws://localhost", "ws://localhost:8770/"]):
        with pytest.raises(ValueError, match="expected each destination once, got it twice"):
            destinations_of(twice, SinkOptions())
    assert len(destinations_of(["a.jsonl", "a.parquet", "osc://[::1]:1", "osc://[::1]:2"], SinkOptions())) == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected ws://"),
        ("values.csv", "expected ws://"),
        ("http://127.0.0.1", "expected ws://"),
        ("ws://", "got no host"),
        ("ws://:8770", "got no host"),
        ("ws://127.0.0.1:8770/live", "got a path"),
        ("ws://127.0.0.1:0x1", "expected a port from 1 to 65535, got '0x1'"),
        ("ws://127.0.0.1:70000", "expected a port from 1 to 65535, got '70000'"),
        ("ws://127.0.0.1?token=x", "no ? or #"),
        ("osc://127.0.0.1", "got no port"),
        ("mqtt://127.0.0.1", "with a topic without + and #, got ''"),
        ("mqtt://127.0.0.1/a/+", "with a topic without + and #, got 'a/+'"),
        ("lsl:", "expected a name"),
        ("lsl:a\nb", "expected a name"),
        ("ws://[::1", "expected ws://HOST:PORT"),
        ("a\r\nb.jsonl", "characters that can be shown"),
        ("v4l2:/dev/video9", "one of pictures"),
        ("rtmp://127.0.0.1/live", "one of pictures"),
    ],
)
def test_others_are_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_destination(text)
    assert told in str(refused.value) and (len(str(refused.value).splitlines()) == 1 or "\n" in text)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError) as refused:
        parse_destination("mqtt://anna:hidden@broker/x")
    assert "MOODSPACE_MQTT_PASSWORD" in str(refused.value) and "hidden" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_loopback_needs_no_protection(host: str) -> None:
    assert is_loopback(host)
    for kind in ("ws", "osc", "mqtt", "mqtts"):
        assert protected(Destination("x", kind, host, 1, "x"), SinkOptions()) == SinkOptions()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org", "localhost.example.org"])
@pytest.mark.parametrize("kind", ["ws", "osc", "mqtt", "mqtts"])
def test_other_machines_need_it(kind: str, host: str) -> None:
    one = Destination("x", kind, host, 1, "x")
    with pytest.raises(ValueError, match="--unprotected"):
        protected(one, SinkOptions())
    protected(one, SinkOptions(unprotected=True))


def test_an_encrypted_broker_with_a_password_is_protected() -> None:
    options = SinkOptions(username="anna", password="hidden")
    assert protected(parse_destination("mqtts://broker/x"), options) == options
    with pytest.raises(ValueError, match="expected mqtts://"):
        protected(parse_destination("mqtt://broker/x"), options)


def test_a_server_for_other_machines_gets_a_certificate_and_a_token() -> None:
    with pytest.raises(ValueError, match="--tls-cert"):
        protected(parse_destination("wss://0.0.0.0:1"), SinkOptions(unprotected=True))
    options = SinkOptions(cert=Path("c.pem"), key=Path("k.pem"))
    first, second = (protected(parse_destination("wss://0.0.0.0:1"), options).token for _ in range(2))
    assert first and second and first != second and len(first) >= 20
    # Even where nothing is encrypted, only who has the token can connect.
    assert protected(parse_destination("ws://0.0.0.0:1"), SinkOptions(unprotected=True)).token
    own = SinkOptions(cert=Path("c.pem"), key=Path("k.pem"), token="a-token-of-mine")
    assert protected(parse_destination("wss://0.0.0.0:1"), own) == own


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="min_group: expected 1 or more, got 0"):
        SinkOptions(min_group=0)
    with pytest.raises(ValueError, match="only one of them"):
        SinkOptions(cert=Path("c.pem"))
    for token in ("short", "with spaces in it", "umläute-sind-keine"):
        with pytest.raises(ValueError, match="at least 12"):
            SinkOptions(token=token)


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOODSPACE_TO_TOKEN", "a-token-of-mine")
    monkeypatch.setenv("MOODSPACE_MQTT_USERNAME", "anna")
    (tmp_path / "password").write_bytes(b"hidden one\r\nmore\n")
    monkeypatch.setenv("MOODSPACE_MQTT_PASSWORD_FILE", str(tmp_path / "password"))
    options = SinkOptions.from_environment(min_group=3)
    assert (options.token, options.username, options.password) == ("a-token-of-mine", "anna", "hidden one")
    assert options.min_group == 3
    assert "hidden" not in repr(options) and "a-token" not in repr(options)
    monkeypatch.setenv("MOODSPACE_MQTT_PASSWORD", "another")
    assert SinkOptions.from_environment().password == "another"
    monkeypatch.delenv("MOODSPACE_MQTT_PASSWORD")
    monkeypatch.setenv("MOODSPACE_MQTT_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(SinkError, match="none: expected a file with the password"):
        SinkOptions.from_environment()
