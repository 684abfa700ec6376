"""The server as a program: how it starts, how it ends, what it says when it cannot, and what it does not load."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from typer.testing import Result
from websockets.exceptions import InvalidStatus

from moodspace.web.server.serve import address
from moodspace.web.server.settings import WebSettings
from tests.web.hostile import JPEG
from tests.web.served import frame, free_port, receive, served

KEY = "K" * 43
ROOT = Path(__file__).parents[3]
MEMORY = Path("/dev/shm")
# On an idle machine it is under 3; a server that waits for its browsers never ends.
SOON_S = 20


def left_by(pid: int) -> list[Path]:
    return list(MEMORY.glob(f"moodspace-web-{pid}-*"))


def test_ctrl_c_ends_it_soon_with_sessions_open_and_frees_the_port(tmp_path, shipped) -> None:
    with served(tmp_path / "log") as server, ExitStack() as stack:
        for key in (KEY, "L" * 43):
            session = stack.enter_context(server.live(key))
            session.send(frame(0, JPEG))
            receive(session, "result")
        code, seconds = server.end(signal.SIGINT)
        assert code == 130 and seconds < SOON_S
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", server.port))
        assert not left_by(server.process.pid) and "Traceback" not in server.log.read_text()


def test_the_settings_of_another_app_in_the_current_folder_are_ignored(tmp_path, shipped) -> None:
    settings = tmp_path / ".streamlit" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('[server]\nbaseUrlPath = "another"\n')
    with served(tmp_path / "log", folder=tmp_path) as server:
        assert server.get("/_stcore/health") == (200, "ok")
        assert "Streamlit" in server.get("/")[1]
        server.end()


def test_a_browser_that_never_reads_does_not_keep_it(tmp_path, shipped) -> None:
    with served(tmp_path / "log") as server:
        with server.live(KEY) as session:
            receive(session, "ready")
            for at in range(20):
                session.send(frame(at, JPEG))
            code, seconds = server.end(signal.SIGTERM)
        assert code in (-signal.SIGTERM, 128 + signal.SIGTERM, 0) and seconds < SOON_S
        assert not left_by(server.process.pid)


@pytest.mark.skipif(not MEMORY.is_dir(), reason="expected /dev/shm, found none")
def test_what_a_killed_server_left_goes_at_the_next_start_and_what_was_taught_stays(tmp_path, shipped) -> None:
    kept = tmp_path / "kept"
    with served(tmp_path / "killed") as server, server.live(KEY) as session:
        receive(session, "ready")
        assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert left_by(server.process.pid)
    with served(tmp_path / "first", "--gallery", kept) as first:
        assert not left_by(server.process.pid)
        with first.live(KEY) as session:
            session.send(frame(0, JPEG))
            (face,) = receive(session, "result")["faces"]
            session.send(json.dumps({"type": "teach", "track": face["id"], "label": "confused"}))
            receive(session, "taught")
        first.end()
    with served(tmp_path / "second", "--gallery", kept) as second, second.live(KEY) as session:
        assert "confused" in [one["name"] for one in receive(session, "ready")["classes"]]
    assert KEY not in (tmp_path / "second").read_text()


def test_it_answers_as_soon_as_it_prints_its_address_and_opens_the_browser_then(tmp_path, shipped) -> None:
    port, told = free_port(), tmp_path / "browser"
    script = tmp_path / "browser.py"
    script.write_text(
        "import pathlib, sys, urllib.request\n"
        "with urllib.request.urlopen(sys.argv[1], timeout=30) as page:\n"
        f"    pathlib.Path({str(told)!r}).write_text(str(page.status))\n"
    )
    command = [sys.executable, "cli.py", "web", "--port", str(port), "--open"]
    environment = os.environ | {"BROWSER": f"{sys.executable} {script} %s"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"http://localhost:{port}/")
            with urllib.request.urlopen(line.split()[0], timeout=30) as page:
                assert page.status == 200
            until = time.monotonic() + 30
            while not (told.is_file() and told.read_text()) and time.monotonic() < until:
                time.sleep(0.05)
            assert told.read_text() == "200"
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130


def refusal(run, *options: object) -> Result:
    result = run("web", "--port", free_port(), *options)
    assert len(result.stderr.strip().splitlines()) == 1 and "expected" in result.stderr and not result.stdout
    return result


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--bundle", "no/such/bundle"), "no/such/bundle"), (("--labels", "moods"), "moods"),
     (("--token", "short"), "at least 12"), (("--host", "192.0.2.1"), "192.0.2.1"),
     (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
     (("--host", "0.0.0.0", "--public", "--token", "a-token-of-mine"), "--public")],
)  # fmt: skip
def test_what_cannot_be_served_is_said_in_one_line(run, monkeypatch, shipped, options, said) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MOODSPACE_WEB", "")
    result = refusal(run, *options)
    assert result.exit_code == (3 if "--bundle" in options else 1) and said in result.stderr


def test_a_port_in_use_is_said_in_one_line(run, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("web", "--port", taken.getsockname()[1])
    assert result.exit_code == 1 and "choose another --port" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "shown"),
    [(WebSettings(), "http://localhost:8501/"), (WebSettings(host="::1", port=80), "http://localhost:80/"),
     (WebSettings(host="192.168.1.2", token="a-token-of-mine"), "http://192.168.1.2:8501/?token=a-token-of-mine"),
     (WebSettings(host="fe80::1"), "http://[fe80::1]:8501/"), (WebSettings(host="0.0.0.0"), "http://localhost:8501/")],
)  # fmt: skip
def test_the_address_to_open(settings, shown) -> None:
    assert address(settings) == shown


def test_importing_the_app_loads_nothing_heavy() -> None:
    heavy = "('tensorflow', 'keras', 'umap', 'sklearn', 'jax', 'matplotlib', 'plotly', 'numba')"
    script = f"import streamlit_app, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_token_is_asked_for_and_kept_out_of_the_log(tmp_path, shipped) -> None:
    token = "a-token-of-mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOODSPACE_WEB_TOKEN", token)
        with served(tmp_path / "log") as server:
            assert server.get("/")[0] == 403 and server.get("/?token=another-of-mine")[0] == 403
            assert server.get("/", Cookie=f"moodspace_token={token}")[0] == 200
            with suppress(InvalidStatus), server.live(KEY, path=f"/moodspace/live?token={token}") as session:
                pytest.fail(session.recv())
            with server.live("", Cookie=f"moodspace_token={token}; moodspace_visitor={KEY}") as session:
                receive(session, "ready")
            code, seconds = server.end()
            assert code == 130 and seconds < SOON_S
    said = (tmp_path / "log").read_text()
    assert said.count(token) == 1 == len(said.splitlines())  # the address that the operator gives away
