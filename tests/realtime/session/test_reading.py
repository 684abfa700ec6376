"""Reading a recorded session, whole or damaged, exporting it, and making its report."""

import csv
import sqlite3
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from moodspace.realtime.session.export import export_session
from moodspace.realtime.session.file import DATABASE, SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.viz.report.data import seconds_kept
from moodspace.viz.report.page import report_page, write_report
from tests.realtime.session.recordings import CLASSES, STARTED, group, shows


@pytest.fixture
def session(tmp_path):
    """Return a session of seconds 0 and 3; second 3 has a new class, second 1 too few faces, second 2 no frames."""
    with SessionRecorder(
        tmp_path / "session", classes=CLASSES, source="camera 0", individuals=True, now=lambda: STARTED
    ) as recorder:
        recorder.add(shows([(0.5, 0.25, 0.25)] * 5, unsure=[4]), STARTED)
        recorder.add(group(2, time=1.0), STARTED + 1)
        recorder.add(shows([(0.7, 0.1, 0.1, 0.1)] * 6, time=3.0, classes=(*CLASSES, "confused")), STARTED + 3)
    return open_session(tmp_path / "session")


def damage(folder, change):
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute(change)


def test_a_session_opens_by_its_file_too(session):
    assert open_session(session.folder / DATABASE).folder == session.folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("PRAGMA user_version = 2", "expected a session of version 1, got 2"),
        ("UPDATE seconds SET proba = '[0.1'", "cannot be read"),
        ("UPDATE seconds SET proba = '[1, 2, 3, 4, 5, 6]'", "cannot be read"),
        ("UPDATE seconds SET faces = 'five'", "cannot be read"),
        ("UPDATE seconds SET proba = '[NaN, 0.5, 0.5]'", "cannot be read"),
        ("UPDATE seconds SET proba = NULL", "exactly where"),
        ("UPDATE session SET started = 1e300", "years"),
        ("UPDATE session SET utc_offset = 'CET'", "utc_offset"),
        ("UPDATE session SET utc_offset = 1000000", "utc_offset"),
        ("UPDATE session SET min_group = x'05'", "min_group"),
        ("UPDATE session SET source = x'05'", "texts"),
        ("INSERT INTO gaps VALUES (x'00', 1, 'no frames came')", "times of the session"),
        ("INSERT INTO marks VALUES (1e300, 'go', 'window')", "times of the session"),
        ("INSERT INTO marks VALUES (1, x'00', 'window')", "texts"),
        ("UPDATE faces SET second = second + 5000", "faces: expected seconds"),
        ("UPDATE faces SET shown = 77", "faces: expected"),
        ("DROP TABLE gaps", "no such table"),
        ("DELETE FROM session", "killed before it began"),
    ],
)
def test_damage_is_one_error(session, change, message):
    damage(session.folder, change)
    with pytest.raises(SessionError, match=message) as raised:
        open_session(session.folder)
    assert "\n" not in str(raised.value)


def test_a_torn_file_is_one_error(session):
    database = session.folder / DATABASE
    database.write_bytes(database.read_bytes()[:5000])
    with pytest.raises(SessionError, match="cannot be read"):
        open_session(session.folder)


@pytest.mark.parametrize("content", [b"", b"SQLite", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_another_file_is_one_error(tmp_path, content):
    (tmp_path / "x.sqlite").write_bytes(content)
    with pytest.raises(SessionError, match="got another kind of file"):
        open_session(tmp_path / "x.sqlite")
    with pytest.raises(SessionError, match="got none"):
        open_session(tmp_path / "missing")


def test_an_unfinished_video_is_reported_as_missing(session):
    (session.folder / ".session.mp4.partial").write_bytes(b"half")
    (said,) = open_session(session.folder).missing
    assert "The video was not finished" in said and ".session.mp4.partial" in said
    assert not session.keeps_video
    (session.folder / "session.mp4").write_bytes(b"whole")
    assert open_session(session.folder).keeps_video


def test_csv_has_a_row_a_second_and_the_reasons_of_empty_rows(session, tmp_path):
    written = export_session(session, tmp_path / "group.csv")
    assert [path.name for path in written] == ["group.csv", "group-faces.csv"]
    with written[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "second": "0", "time": "2026-09-21T14:13:20.000+00:00", "frames": "1", "faces": "5", "readable": "5",
        "unsure": "1", "withheld": "", "share_happy": "0.5", "share_neutral": "0.25", "share_sad": "0.25",
        "share_confused": "0.0",
    }  # fmt: skip
    assert rows[1]["withheld"] == "fewer than 5 faces" and rows[1]["faces"] == rows[1]["share_sad"] == ""
    assert [row["second"] for row in rows] == ["0", "1", "3"] and rows[2]["share_confused"] == "0.1"
    with written[1].open(newline="") as file:
        faces = list(csv.DictReader(file))
    assert len(faces) == 13 and [row["shown"] for row in faces[3:5]] == ["happy", "unsure"]
    assert (faces[0]["face"], faces[0]["size_px"], faces[0]["probability_happy"]) == ("1", "40.0", "0.5")


def test_parquet_holds_the_same_numbers(session, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    one, other = (parquet.read_table(path) for path in export_session(session, tmp_path / "group.parquet"))
    assert one["faces"].to_pylist() == [5, None, 6] and one["withheld"][1].as_py() == "fewer than 5 faces"
    assert [value.timestamp() for value in one["time"].to_pylist()] == [STARTED, STARTED + 1, STARTED + 3]
    for column, name in enumerate(session.classes):
        shares = [np.nan if share is None else share for share in one[f"share_{name}"].to_pylist()]
        np.testing.assert_array_equal(np.array(shares, np.float32), session.group.proba[:, column])
        np.testing.assert_array_equal(other[f"probability_{name}"].to_numpy(), session.faces.proba[:, column])
    assert (
        other["face"].to_pylist() == session.faces.track_ids.tolist() and other["readable"].to_pylist() == [True] * 13
    )


def test_an_empty_session_has_the_same_columns(session, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    with SessionRecorder(tmp_path / "empty", classes=session.classes, source="x"):
        pass
    (empty,) = export_session(open_session(tmp_path / "empty"), tmp_path / "empty.parquet")
    full = export_session(session, tmp_path / "group.parquet")[0]
    assert parquet.read_schema(empty).equals(parquet.read_schema(full)) and parquet.read_table(empty).num_rows == 0


def test_an_unknown_format_is_refused_and_nothing_written(session, tmp_path, monkeypatch):
    with pytest.raises(SessionError, match=r"ends in \.csv or \.parquet, got '\.xlsx'"):
        export_session(session, tmp_path / "group.xlsx")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SessionError, match=r"expected pyarrow for Parquet, got none; install it or write a \.csv"):
        export_session(session, tmp_path / "group.parquet")
    assert not list(tmp_path.glob("group*"))


def test_a_session_makes_a_report(session):
    made = report_page(session)
    assert "confused (since 0:03)" in made and "fewer than 5 faces visible" in made and "face 6" in made


def test_twenty_minutes_are_read_and_told_within_two_seconds(tmp_path):
    with SessionRecorder(
        tmp_path, classes=CLASSES, source="camera 0", individuals=True, now=lambda: STARTED
    ) as recorder:
        recorder._database.execute("PRAGMA synchronous = OFF")
        shares = np.random.default_rng(0).dirichlet([3, 2, 1], (1200, 16))
        for second, proba in enumerate(shares):
            recorder.add(shows(proba, time=float(second)), STARTED + second)
    start = time.process_time()  # CPU time, so that other processes do not count
    report = open_session(tmp_path)
    write_report(report, tmp_path / "session.html")
    assert time.process_time() - start < 2
    assert sum(seconds_kept(report).values()) == 1200 and (tmp_path / "session.html").stat().st_size < 1_000_000
