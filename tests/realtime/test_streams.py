"""A real stream, MJPEG over HTTP on this machine, whose server drops the connection and takes it up again."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from moodspace.realtime.capture.cameras import CameraOptions
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.capture.source import SourceError
from tests.made_videos import INTERLACED, greys, write_video

WAIT_S = 20.0
# A connection brings so many pictures; FFmpeg looks at some before it says that the stream is open.
PICTURES = 40


class Server(ThreadingHTTPServer):
    """Send pictures whose grey says which connection they came by, 100 for the first one, 200 for later ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.refusing = False
        self.content = b""
        self.ending = threading.Event()

    @property
    def address(self) -> str:
        return f"http://me:secret@127.0.0.1:{self.server_port}/video"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.content:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(self.server.content)
            return
        if self.server.refusing:
            self.send_error(503)
            return
        self.server.connections += 1
        first = self.server.connections == 1
        body = cv2.imencode(".jpg", np.full((48, 64, 3), 100 if first else 200, np.uint8))[1].tobytes()
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(body), body)
        for _ in range(PICTURES if first else 1000):
            try:
                self.wfile.write(part)
            except OSError:  # the reader has left
                return
            if self.server.ending.wait(0.01):
                return

    def log_message(self, *about: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ending.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_connection_that_drops_is_taken_up_again(server: Server) -> None:
    told: list[str] = []
    greys, indices, times = set(), [], []
    with NewestFrames(open_source(server.address, options=CameraOptions(), on_event=told.append)) as frames:
        ends = time.monotonic() + WAIT_S
        while 200 not in greys and time.monotonic() < ends:
            if (frame := frames.latest(0.1)) is not None:
                greys.add(round(float(frame.bgr.mean()), -2))
                indices.append(frame.index)
                times.append(frame.time)
    assert greys == {100, 200}
    assert server.connections == 2
    assert indices == sorted(set(indices))
    assert times == sorted(times)
    assert times[-1] - times[-2] >= 0.5
    name = f"http://127.0.0.1:{server.server_port}/video"
    assert told[0] == f"{name} is lost: expected frames, got none after {PICTURES}; trying to reopen it"
    assert told[1].startswith(f"{name} is back after ")


def test_a_stream_is_live_and_read_once_by_default(server: Server) -> None:
    with open_source(server.address) as source:
        assert source.live
        assert sum(1 for _ in source) == PICTURES
    assert server.connections == 1


def test_a_server_that_refuses_is_an_error_without_the_password(server: Server) -> None:
    server.refusing = True
    with pytest.raises(SourceError, match=r"^http://127\.0\.0\.1:\d+/video: expected a video, got none") as caught:
        open_source(server.address, options=CameraOptions())
    assert "secret" not in str(caught.value)


def test_an_interlaced_stream_shows_its_own_frames(server: Server, tmp_path: Path) -> None:
    """OpenCV 5.0.0 gives memory that nobody wrote for each of its frames."""
    rng = np.random.default_rng(0)
    other = write_video(tmp_path / "a.mp4", [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(20)])
    stream = write_video(tmp_path / "b.ts", greys([90] * 50), "mpeg2video", options=INTERLACED)
    server.content = stream.read_bytes()
    with open_source(str(other)) as first, open_source(server.address) as source:
        shown = [frame for frame, _ in zip(source, first, strict=False)] + list(source)
    assert len(shown) >= 20
    assert all(np.ptp(frame.bgr) <= 4 and abs(frame.bgr.mean() - 90) < 4 for frame in shown)
