"""What the operator decided: through the environment and back, tokens, and what is only this machine."""

from pathlib import Path

import pytest

from moodspace.web.server.settings import VARIABLE, Limits, WebSettings, current_settings, is_loopback, token_for


@pytest.fixture(autouse=True)
def _unpublished(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # so that what a test publishes goes with it


def test_settings_come_back_as_they_were_published() -> None:
    settings = WebSettings(
        bundle=Path("/a/bundle"), labels="ferplus", host="0.0.0.0", port=80, token="a-token-of-mine",
        origins=("https://faces.example.org",), gallery=Path("/kept"), limits=Limits(visitors=3, frames_per_second=7.5),
    )  # fmt: skip
    settings.publish()
    assert current_settings() == settings


def test_unpublished_ones_ask_for_the_address_that_streamlit_listens_on(monkeypatch) -> None:
    from streamlit import config

    told = {"server.address": None, "server.port": 8501}
    monkeypatch.setattr(config, "get_option", told.__getitem__)
    assert not is_loopback(current_settings().host)  # it listens everywhere, and any name may be right
    told["server.address"] = "127.0.0.1"
    assert is_loopback(current_settings().host)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.2", False), ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_loopback(host, alone) -> None:
    assert is_loopback(host) is alone


def test_other_machines_need_a_token_unless_all_may_come() -> None:
    assert token_for("127.0.0.1", None, public=False) is None
    assert token_for("0.0.0.0", None, public=True) is None
    made = [token_for("0.0.0.0", None, public=False) for _ in range(2)]
    assert len(set(made)) == 2 and all(len(one or "") >= 20 for one in made)
    assert token_for("127.0.0.1", "a-token-of-mine", public=False) == "a-token-of-mine"


@pytest.mark.parametrize("token", ["", "short", "spaces are no letters", "semicolon;inside", "ümläute-ümläute"])
def test_tokens_that_can_be_guessed_or_are_no_cookie_are_refused(token) -> None:
    with pytest.raises(ValueError, match="at least 12"):
        token_for("127.0.0.1", token, public=False)


def test_a_token_for_everybody_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="--public"):
        token_for("0.0.0.0", "a-token-of-mine", public=True)
