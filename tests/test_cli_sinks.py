"""`live --to` on the command line: what is sent and said, how it ends, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.realtime.sinks.made_documents import check, wait_for

ROOT = Path(__file__).parents[1]


def lines(path):
    return [check(json.loads(line)) for line in path.read_text().splitlines()]


def test_a_session_is_sent_as_json_prints_it(run, clip, tmp_path):
    path = tmp_path / "a.jsonl"
    done = run("live", "--headless", "--json", "--source", clip, "--to", path, "--individuals", "--min-group", 1)
    assert done.exit_code == 0, done.output
    assert lines(path) == [check(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(lines(path)) == 5 and lines(path)[0]["faces"] and lines(path)[0]["group"]["readable"] == 1
    assert done.stderr.splitlines()[-2:] == [f"{path}: 5 sent", "5 frames"]
    assert "get consent from everyone in view" in done.stderr


def test_single_faces_are_sent_only_with_individuals(run, clip, tmp_path):
    path = tmp_path / "a.jsonl"
    done = run("live", "--headless", "--json", "--source", clip, "--to", path)
    assert done.exit_code == 0, done.output
    for document in lines(path):
        assert document["faces"] is None and document["group"]["shares"] is None
        assert document["source"] == clip.name
    # Who runs the command sees the faces all the same.
    assert json.loads(done.stdout.splitlines()[0])["faces"]


def test_several_destinations_are_combined(run, clip, tmp_path):
    pytest.importorskip("websockets", reason="needs the extra sinks")
    from pyarrow import parquet

    to = [tmp_path / "a.jsonl", tmp_path / "a.parquet", "osc://127.0.0.1:9", "mqtt://127.0.0.1:9/x"]
    done = run("live", "--headless", "--source", clip, *(word for one in to for word in ("--to", one)))
    assert done.exit_code == 0, done.output
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == len(lines(tmp_path / "a.jsonl")) == 5
    assert f"{tmp_path / 'a.parquet'}: 5 sent" in done.stderr and "osc://127.0.0.1:9: 5 sent" in done.stderr
    # Nobody is there, and the session does not mind.
    assert "mqtt://127.0.0.1:9/x: 0 sent, 5 dropped" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "values.csv"], "expected ws://"),
        (["--to", "a.jsonl", "--to", "a.jsonl"], "once, got it twice"),
        (["--to", "mqtt://anna:hidden@127.0.0.1/x"], "MOODSPACE_MQTT_PASSWORD"),
        (["--to", "ws://0.0.0.0:8770"], "--unprotected"),
        (["--to", "osc://192.0.2.1:9000"], "--unprotected"),
        (["--to", "rtmp://127.0.0.1/x"], "one of pictures"),
        (["--to", "a.jsonl", "--tls-cert", "cert.pem"], "give both"),
        (["--unprotected"], "expected --to"),
        (["--individuals"], "expected --record or --to"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(run, clip, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = run("live", "--headless", "--source", clip, *arguments)
    assert done.exit_code == 2
    # A box is drawn around the line, which is wrapped to the width of the terminal.
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert "hidden" not in done.output and list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept(run, clip, tmp_path):
    (tmp_path / "a.jsonl").write_text("mine")
    done = run("live", "--headless", "--source", clip, "--to", tmp_path / "a.jsonl")
    assert done.exit_code == 1 and "a.jsonl: expected a new file, got one that exists; name another" in done.stderr
    assert (tmp_path / "a.jsonl").read_text() == "mine"


def test_a_missing_extra_is_named(run, clip, monkeypatch, tmp_path):
    for package, to in (
        ("websockets", "ws://127.0.0.1:1"), ("pythonosc", "osc://127.0.0.1:1"), ("paho", "mqtt://127.0.0.1/x"),
        ("pyarrow", str(tmp_path / "a.parquet")),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            for name in [name for name in sys.modules if name.partition(".")[0] == package]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, package, None)
            done = run("live", "--headless", "--source", clip, "--to", to)
        assert done.exit_code == 1
        told = done.stderr.splitlines()[-1]
        assert told.startswith(f"error: {to}: expected the package {package}, got none; install it: pip install ")
        assert "sinks" in told or "requirements/all.txt" in told


@pytest.fixture
def endless(tmp_path):
    """A long clip of one face."""
    import cv2
    import numpy as np

    from moodspace.realtime.drawing.video import VideoWriter

    with VideoWriter(tmp_path / "long.mp4", 25) as writer:
        for number in range(500):
            writer.write(cv2.circle(np.full((120, 160, 3), 90, np.uint8), (number % 160, 60), 20, (200, 200, 200), -1))
    return tmp_path / "long.mp4"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_finishes_the_files(endless, tmp_path):
    from pyarrow import parquet

    table, text = tmp_path / "a.parquet", tmp_path / "a.jsonl"
    command = [sys.executable, "cli.py", "live", "--headless", "--json", "--source", str(endless)]
    to, pipe = ["--to", str(table), "--to", str(text)], subprocess.PIPE
    # Nobody reads its output, so that it cannot come to the end of the clip before the signal.
    with subprocess.Popen([*command, *to], cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        wait_for(lambda: text.is_file() and text.read_text().count("\n") > 10)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert f"{text}: {len(lines(text))} sent" in errors
    # The signal may come when one file has the frame and the other has not.
    assert len(lines(text)) > 10 and parquet.read_table(table).num_rows - len(lines(text)) in (0, 1)
    assert not (tmp_path / "a.parquet.parts").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of file sizes")
def test_a_disk_without_room_is_one_line_and_exit_code_1(clip, tmp_path):
    # A limit of 3 kB a file, which the process meets as it would a full disk.
    code = (
        "import resource, signal, sys, cli\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))\ncli.main()"
    )
    arguments = ["live", "--headless", "--source", str(clip), "--individuals", "--to", str(tmp_path / "a.jsonl")]
    # Whoever measures coverage could not write it either, and says so on stderr.
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, env=own)
    told = [line for line in done.stderr.splitlines() if "a.jsonl" in line]
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert told[0].endswith(
        "a.jsonl: expected to write values, could not (File too large); the session goes on without"
    )
    assert "5 frames" in done.stderr and " dropped" in told[1] and len(told) == 2
    assert 0 < len(lines(tmp_path / "a.jsonl")) < 5
