"""The notice is shown once, says what it must, and never prevents a session from starting."""

import sys
from pathlib import Path

import pytest

from moodspace.realtime.session.notice import NOTICE, RECORDING, start_notice


def test_it_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert start_notice(recording=False, folder=folder) == NOTICE
    assert start_notice(recording=False, folder=folder) is None


def test_recording_is_told_each_time(tmp_path: Path) -> None:
    assert start_notice(recording=True, folder=tmp_path) == f"{NOTICE}\n{RECORDING}"
    assert start_notice(recording=True, folder=tmp_path) == RECORDING
    assert start_notice(recording=False, folder=tmp_path) is None
    assert start_notice(recording=True, folder=tmp_path) == RECORDING


def test_it_says_what_it_must() -> None:
    for word in ("guess", "does not say what somebody feels", "nothing leaves", "--record", "Consent", "everybody"):
        assert word in NOTICE
    assert "Article 5(1)(f)" in NOTICE
    assert "medical\n  or safety" in NOTICE
    assert max(map(len, f"{NOTICE}\n{RECORDING}".splitlines())) <= 120


def test_where_nothing_can_be_kept_it_is_told_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert start_notice(recording=False, folder=tmp_path / "file" / "state") == NOTICE
        assert start_notice(recording=False, folder=tmp_path / "file") == NOTICE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG_STATE_HOME is Linux's")
def test_the_note_lies_in_the_users_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert start_notice(recording=False) == NOTICE
    assert [path.name for path in (tmp_path / "moodspace").iterdir()] == ["start-notice-2"]
    assert start_notice(recording=False) is None
