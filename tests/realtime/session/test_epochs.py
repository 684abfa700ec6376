"""Epochs around marks equal a computation by hand, withhold small groups, and load in other programs."""

import csv
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest

import moodspace as ms
from moodspace.realtime.session.export import export_epochs, export_session
from moodspace.realtime.session.file import DATABASE, SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.sessions import EPOCH_COLUMNS
from tests.realtime.session.recordings import CLASSES, STARTED, shows

# Percent of happy by second, the number of faces, and the marks. The rest is neutral; nobody is sad.
HAPPY = [10, 20, 10, 30, 50, 50, 90, 70, 90, 20, 10, 10]
FACES = [5, 5, 5, 6, 7, 6, 5, 5, 5, 4, 4, 4]
MARKS = [(3.7, "joke"), (9.0, "böse, “Pause”")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    with SessionRecorder(folder, classes=CLASSES, source="camera 0", individuals=True, now=lambda: STARTED) as recorder:
        for second, (happy, faces) in enumerate(zip(HAPPY, FACES, strict=True)):
            for part in (0.0, 0.5):
                proba = [[happy / 100, 1 - happy / 100, 0.0]] * faces
                recorder.add(shows(proba, time=second + part), STARTED + second + part)
        for time, name in MARKS:
            recorder.mark(name, "web", STARTED + time)
    return folder


@pytest.fixture(scope="module")
def session(folder):
    return open_session(folder)


def by_hand(event: float, start: float, stop: float) -> dict[str, float | int | None]:
    """Returns the numbers of "happy" around an event, computed from percents with exact fractions."""
    lag = {s: Fraction(2 * s + 1, 2) - Fraction(str(event)) for s in range(len(HAPPY)) if FACES[s] >= 5}
    response = [s for s, at in lag.items() if max(start, 0) <= at < stop]
    before = [s for s, at in lag.items() if start <= at < 0]
    mean = Fraction(sum(HAPPY[s] for s in response), 100 * len(response))
    baseline = Fraction(sum(HAPPY[s] for s in before), 100 * len(before))
    peak = max(HAPPY[s] for s in response)
    first = next(s for s in response if HAPPY[s] == peak)
    return {
        "mean": round(float(mean), 6),
        "peak": peak / 100,
        "latency": float(lag[first]),
        "baseline": round(float(baseline), 6),
        "change": round(float(mean - baseline), 6),
        "seconds": len(response),
        "baseline_seconds": len(before),
        "faces": round(float(Fraction(sum(FACES[s] for s in response), len(response))), 6),
        "faces_min": min(FACES[s] for s in response),
    }


@pytest.mark.parametrize("window", [(-2, 5), (-3, 2), (-0.5, 4), (-2.3, 1.1)])
def test_epochs_equal_a_computation_by_hand(session, window):
    table = session.epochs(*window).columns
    assert table["event"] == [1, 1, 1, 2, 2, 2] and table["expression"] == [*CLASSES, *CLASSES]
    expected = by_hand(MARKS[0][0], *window)
    assert {name: table[name][0] for name in expected} == expected
    assert table["mean"][0] + table["mean"][1] == pytest.approx(1, abs=1e-6) and table["peak"][2] == 0
    assert table["time"] == [3.7] * 3 + [9.0] * 3


def test_one_epoch_in_plain_numbers(session):
    # The middles of the seconds 2 to 8 lie at -1.2, -0.2, 0.8, 1.8, 2.8, 3.8 and 4.8 s around the joke.
    row = {name: values[0] for name, values in session.epochs(-2, 5).columns.items()}
    assert row == {
        "event": 1, "name": "joke", "source": "web", "time": 3.7, "expression": "happy", "mean": 0.7, "peak": 0.9,
        "latency": 2.8, "baseline": 0.2, "change": 0.5, "seconds": 5, "baseline_seconds": 2, "faces": 5.6,
        "faces_min": 5, "missing": "",
    }  # fmt: skip


def test_too_few_faces_give_no_numbers(session):
    table = session.epochs(-2, 3).columns
    later = {name: values[3] for name, values in table.items()}
    assert later["missing"] == "fewer than 5 readable faces" and later["seconds"] == 0
    assert [later[name] for name in ("mean", "peak", "latency", "change", "faces", "faces_min")] == [None] * 6
    assert later["baseline"] == 0.8 and later["baseline_seconds"] == 2
    assert session.epochs(5, 9).columns["missing"][3] == "no frames"


def test_a_window_after_the_mark_has_no_baseline(session):
    row = {name: values[0] for name, values in session.epochs(1, 3).columns.items()}
    assert row["seconds"] == 2 and row["mean"] == 0.7 and row["baseline"] is None and row["change"] is None


@pytest.mark.parametrize("window", [(5, -2), (-2, 0), (-5, -1), (2, 2), (float("nan"), 5), (-2, float("inf"))])
def test_windows_that_hold_nothing_are_refused(session, window):
    with pytest.raises(ValueError, match="expected a window that ends after 0"):
        session.epochs(*window)


def test_single_faces_have_a_table_of_their_own_where_they_were_recorded(session, tmp_path):
    table = session.epochs(-2, 5, individuals=True).columns
    assert sorted(set(table["face"])) == [1, 2, 3, 4, 5, 6, 7]
    rows = [n for n, face in enumerate(table["face"]) if face == 7 and table["expression"][n] == "happy"]
    (row,) = rows  # the seventh face was seen in second 4 only
    assert table["seconds"][row] == 1 and table["mean"][row] == 0.5 and table["baseline"][row] is None
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        recorder.mark("x", "web")
    with pytest.raises(ValueError, match="expected a session with single faces"):
        open_session(tmp_path).epochs(-2, 5, individuals=True)


def test_the_tables_load_as_they_were_written_with_a_codebook(session, tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = session.epochs(-2, 5).to_pandas()
    assert str(frame["faces_min"].dtype) == "Int64" and frame["mean"].dtype == float
    written = export_epochs(session, -2, 5, tmp_path / "epochs.csv")
    assert [path.name for path in written] == ["epochs.csv", "epochs-faces.csv", "epochs.json"]
    read = pd.read_csv(tmp_path / "epochs.csv", keep_default_na=True, dtype={"faces_min": "Int64"})
    numbers = [name for name, (kind, _, _) in EPOCH_COLUMNS.items() if kind != "text"]
    for name in numbers:
        np.testing.assert_array_equal(read[name].astype(float), frame[name].astype(float))
    assert read["name"].tolist() == frame["name"].tolist()
    export_epochs(session, -2, 5, tmp_path / "epochs.parquet")
    stored = pd.read_parquet(tmp_path / "epochs.parquet")
    for name in numbers:
        np.testing.assert_array_equal(stored[name].astype(float), frame[name].astype(float))
    codebook = json.loads((tmp_path / "epochs.json").read_text(encoding="utf-8"))
    assert set(codebook["columns"]) == {"face", *read.columns} and codebook["columns"]["expression"]["levels"] == [
        *CLASSES
    ]
    assert codebook["window_s"] == {"start": -2, "stop": 5, "response": [0.0, 5], "baseline": [-2, 0.0]}


def test_statistics_programs_find_one_type_in_each_column(session, tmp_path):
    # R's read.csv and JASP take a column as numeric only if every cell is a number or empty.
    export_epochs(session, -2, 5, tmp_path / "epochs.csv")
    content = (tmp_path / "epochs.csv").read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf") and b"None" not in content and b"nan" not in content
    head, *rows = csv.reader(content.decode().splitlines())
    assert all(name.isidentifier() for name in head) and {len(row) for row in rows} == {len(head)}
    for name, cells in zip(head, zip(*rows, strict=True), strict=True):
        if EPOCH_COLUMNS[name][0] != "text":
            assert [float(cell) for cell in cells if cell]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_r_reads_the_table(session, tmp_path):
    export_epochs(session, -2, 5, tmp_path / "epochs.csv")
    command = "d <- read.csv(commandArgs(TRUE)[1]); stopifnot(is.numeric(d$mean)); cat(d$mean[1], is.na(d$mean[4]))"
    done = subprocess.run(["Rscript", "-e", command, tmp_path / "epochs.csv"], capture_output=True, text=True)
    assert done.stdout == "0.7 FALSE", done.stderr


def test_epochs_need_marks_and_a_known_ending(session, folder, tmp_path):
    with pytest.raises(SessionError, match=r"\.csv or \.parquet"):
        export_epochs(session, -2, 5, tmp_path / "epochs.xlsx")
    shutil.copytree(folder, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / DATABASE)) as connection, connection:
        connection.execute("DELETE FROM marks")
    with pytest.raises(ValueError, match="expected a session with marks, got none"):
        export_epochs(open_session(tmp_path / "copy"), -2, 5, tmp_path / "epochs.csv")
    assert not (tmp_path / "epochs.csv").exists()


def test_marks_are_exported_beside_the_seconds(session, tmp_path):
    written = export_session(session, tmp_path / "session.csv")
    assert [path.name for path in written] == ["session.csv", "session-faces.csv", "session-marks.csv"]
    rows = list(csv.reader((tmp_path / "session-marks.csv").read_text(encoding="utf-8").splitlines()))
    assert rows == [["time", "name", "source"], ["3.7", "joke", "web"], ["9.0", MARKS[1][1], "web"]]
    # What was exported is a table of times itself.
    again = ms.open_session(session.folder, marks=tmp_path / "session-marks.csv")
    assert [(one.time, one.source) for one in again.marks] == [(3.7, "web"), (3.7, "file"), (9.0, "web"), (9.0, "file")]


def test_the_python_api_reads_a_session_with_further_marks(folder, tmp_path):
    (tmp_path / "times.csv").write_text("time;name\n2,5;film\n")
    session = ms.open_session(str(folder), marks=tmp_path / "times.csv")
    assert isinstance(session, ms.Session) and [one.name for one in session.marks] == ["film", *(n for _, n in MARKS)]
    assert len(session.epochs(-1, 2)) == 9
