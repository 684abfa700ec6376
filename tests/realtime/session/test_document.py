"""A session that a web app gave as JSON gives the same report as the session itself."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from moodspace.cli.app import app
from moodspace.realtime.session.document import read_document
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.viz.report.page import report_page
from moodspace.web.components.recording import document_file
from tests.realtime.session.recordings import CLASSES, STARTED, group, shows


@pytest.fixture
def saved(tmp_path):
    """Return a session and the JSON that the Session page gives of it."""
    with SessionRecorder(tmp_path / "session", classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        recorder.add(shows([(0.5, 0.25, 0.25)] * 5, unsure=[4]), STARTED)
        recorder.add(group(2, time=1.0), STARTED + 1)
        recorder.add(shows([(0.7, 0.1, 0.1, 0.1)] * 6, time=4.0, classes=(*CLASSES, "confused")), STARTED + 4)
        recorder.mark("joke", "web", STARTED + 4)
    session = open_session(tmp_path / "session")
    path = tmp_path / "session.json"
    path.write_bytes(document_file(session))
    return session, path


def test_a_document_gives_the_report_of_its_session(saved) -> None:
    session, path = saved
    read = open_session(path)
    for name in ("second", "wall", "frames", "faces", "readable", "unsure", "proba"):
        np.testing.assert_allclose(getattr(read.group, name), getattr(session.group, name), atol=1e-3)
    assert read.gaps == session.gaps and read.gaps
    assert read.marks == session.marks and read.marks
    assert read.time_of(STARTED + 3) == pytest.approx(3)
    assert read.epochs(-2, 1).columns == session.epochs(-2, 1).columns
    assert report_page(read) == report_page(session)


def test_report_reads_a_document_and_writes_beside_it(saved, monkeypatch) -> None:
    _, path = saved
    done = CliRunner().invoke(app, ["report", str(path)])
    assert done.exit_code == 0, done.output
    assert "Expressions shown" in path.with_suffix(".html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="another"), "got another document"),
        (lambda d: d.update(version=2), "expected version 1, got 2"),
        (lambda d: d.pop("seconds"), "got a changed one"),
        (lambda d: d.update(classes=["happy", "happy"]), "none twice"),
        (lambda d: d["seconds"][0].update(shares={"happy": 2.0}), "sum to 1"),
        (lambda d: d["seconds"][0].update(shares=None), "exactly where"),
        (lambda d: d["seconds"][0].update(second=9), "ascending"),
        (lambda d: d["seconds"][0].update(faces=-7), "0 or more"),
        (lambda d: d["seconds"][0].update(time="2026-11-28T10:00:00"), "offset from UTC"),
        (lambda d: d.update(duration="long"), "got a changed one"),
        (lambda d: d["marks"][0].update(time=-1), "times of marks"),
        (lambda d: d["marks"][0].update(name=""), "got an empty one"),
        (lambda d: d.update(since=None), "got a changed one"),
        (lambda d: d.update(source="\ud800"), "texts"),
        (lambda d: d["since"].append(1), "since: expected"),
        (lambda d: d.update(utc_offset=10**9), "utc_offset: expected"),
        (lambda d: d.update(duration=1e300), "100 years"),
        (lambda d: d["gaps"].append({"start": float("nan"), "stop": 1, "reason": "x"}), "100 years"),
    ],
)
def test_a_changed_document_is_one_error(saved, change, message) -> None:
    _, path = saved
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(SessionError, match=message) as raised:
        read_document(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_another_file_is_one_error(tmp_path, content) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(SessionError, match="expected a session as JSON"):
        open_session(path)
    with pytest.raises(SessionError, match="got none"):
        open_session(tmp_path / "missing.json")
