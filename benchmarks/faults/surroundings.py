"""Disturb what is around the program: the disk, the clock, the camera, the receivers of values, other writers."""

import ctypes
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from benchmarks.faults.fuzz import watch
from benchmarks.faults.kills import STORES, Store, TaughtStore
from benchmarks.faults.outcome import Amount, Outcome
from moodspace.errors import MoodspaceError
from moodspace.realtime.capture.cameras import CameraOptions, LiveSource
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.realtime.sinks.destination import SinkOptions
from moodspace.realtime.sinks.hub import Sinks
from moodspace.viz.report.page import report_page
from tests.index.disk_faults import forked
from tests.realtime.capture.scripted_cameras import EMPTY, RAISE, REFUSE, FakeTime, ScriptedCameras, picture
from tests.realtime.session.recordings import CLASSES, STARTED, group

_NOBODY = 65534
_NEW_NAMESPACE = 0x00020000
_LIMITS = (0, 50, 700, 3000, 9000, 30_000)
_FREE_PAGES = (0, 1, 2, 4, 8, 16, 32)
# Handing over a document must not wait for a receiver.
_MOST_SUBMIT_S = 0.25
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Marquesas")

Tell = Callable[[dict[str, Any]], None]


def disturb(amount: Amount, folder: Path) -> list[Outcome]:
    """Run all checks of this file."""
    limits, pages, times = (_LIMITS, _FREE_PAGES, 40) if amount.is_full else (_LIMITS[1::2], _FREE_PAGES[::3], 10)
    n = len(STORES)
    return [
        _in_child("full disk: limited file size", partial(_limited, folder / "limited", limits), n * len(limits)),
        _in_child("full disk: small disk", partial(_small_disk, folder / "small", pages), n * len(pages)),
        _in_child("read-only folder", partial(_read_only, folder / "ro"), n),
        _in_child("clock and time zone jumps", partial(_clocks, folder / "clock", amount.seed, times), times),
        _in_child("camera loss and return", partial(_cameras, amount.seed, times), times),
        _in_child("slow and dead receivers", _receivers, 4),
        _in_child("two writers", partial(_two_writers, folder / "two"), n),
    ]


def _in_child(name: str, attempts: Callable[[Tell], None], count: int) -> Outcome:
    """Run attempts in a process of its own, which may change what only it sees: limits, mounts, its user, its clock."""
    outcome, began = Outcome(name), time.perf_counter()
    watch(lambda _, tell: attempts(tell), 1, outcome)
    if not outcome.tried:
        outcome.counts["not possible here"] = 1
    elif outcome.tried < count and not outcome.faults:
        outcome.counts["expected"] = count
    outcome.seconds = time.perf_counter() - began
    return outcome


def _attempt(store: Store, number: int, name: str, finished: int, tell: Tell) -> int:
    """Try a write that may fail; the files must hold the old state or the new one. Return the state."""
    error = ""
    try:
        store.opened().write(number)
    except (MoodspaceError, OSError) as refused:
        error = " ".join(str(refused).splitlines())
    except Exception as other:
        tell({"number": 0, "fault": f"{name}: {type(other).__name__}: {other}"})
        return finished
    return _tell_state(store, name, finished, error, tell)


def _tell_state(store: Store, name: str, finished: int, error: str, tell: Tell) -> int:
    try:
        state = store.found(finished, True)
    except Exception as problem:
        tell({"number": 0, "fault": f"{name}: {type(problem).__name__}: {problem} (after {error or 'a write'})"})
        return finished
    if not error and state != finished + 1 and store.name not in ("report and export",):
        tell({"number": 0, "fault": f"{name}: said to be written, and state {state} is there"})
    else:
        tell({"number": 0, "read": not error})
    return state


def _begun(store: type[Store], folder: Path) -> Store:
    place = folder / store.__name__
    place.mkdir(parents=True)
    made = store(place)
    made.opened().write(1)
    made.found(1, False)
    return made


def _limited(folder: Path, limits: Sequence[int], tell: Tell) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for kind in STORES:
        for limit in limits:
            store = _begun(kind, folder / str(limit))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                name, error = f"{kind.name}, {limit} bytes", ""
                try:
                    store.opened().write(2)
                except (MoodspaceError, OSError) as refused:
                    error = str(refused)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            _tell_state(store, name, 1, error, tell)


def _mounted(folder: Path, options: str) -> bool:
    """Mount a disk in memory that only this process sees; return whether that is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if ctypes.CDLL(None).unshare(_NEW_NAMESPACE):
        return False
    subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return not subprocess.run(words, capture_output=True, check=False).returncode


def _small_disk(folder: Path, free: Sequence[int], tell: Tell) -> None:
    if os.geteuid() or not _mounted(folder, "size=4m"):
        return
    for kind in STORES:
        for pages in free:
            store = _begun(kind, folder / str(pages))
            disk = os.statvfs(folder)
            (folder / "filler").write_bytes(bytes(max(disk.f_bavail - pages, 0) * disk.f_frsize))
            name, error = f"{kind.name}, {pages} pages", ""
            try:
                store.opened().write(2)
            except (MoodspaceError, OSError) as refused:
                error = str(refused)
            (folder / "filler").unlink()
            _tell_state(store, name, 1, error, tell)
            subprocess.run(["rm", "-rf", str(folder / str(pages))], check=True)


def _read_only(folder: Path, tell: Tell) -> None:
    stores = [_begun(kind, folder) for kind in STORES]
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)
        path.chmod(0o555 if path.is_dir() else 0o444)
    for above in folder.parents:  # another user has to get there
        if above.owner() != "root" or above == Path("/"):
            break
        if str(above).startswith("/tmp/"):
            above.chmod(0o755)
    read_end, write_end = os.pipe()

    def work() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        for store in stores:
            error = ""
            try:
                store.opened().write(2)
            except (MoodspaceError, OSError) as refused:
                error = str(refused).splitlines()[0]
            os.write(write_end, (error or "written").encode()[:300] + b"\n")

    child = forked(work)
    os.close(write_end)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end) as pipe:
        told = pipe.read().splitlines()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
    if status or len(told) != len(stores):
        tell({"number": 0, "fault": f"expected a refusal of each, got {told}"})
    for store, error in zip(stores, told, strict=False):
        if error == "written":
            tell({"number": 0, "fault": f"{store.name}: written into a folder that is read-only"})
        else:
            _tell_state(store, store.name, 1, error, tell)


def _clocks(folder: Path, seed: int, times: int, tell: Tell) -> None:
    """Record while the clock jumps and the time zone changes: seconds go on, and the report can be made."""
    for number in range(times):
        rng = random.Random(f"{seed}-{number}")
        wall, frames, at = STARTED + rng.choice((0, 1e7, -1e7)), 60, 0.0
        os.environ["TZ"] = rng.choice(_ZONES)
        time.tzset()
        place, now = folder / str(number), [wall]
        try:
            with SessionRecorder(place, classes=CLASSES, source="x", now=partial(_first, now)) as recorder:
                for _ in range(frames):
                    at += rng.choice((0.3, 1.0, 1.1))
                    now[0] += rng.choice((1.0,) * 9 + (3600.0, -3600.0, 86_400.0, -1e6, 0.0, -0.5))
                    if rng.random() < 0.1:
                        os.environ["TZ"] = rng.choice(_ZONES)
                        time.tzset()
                    recorder.add(group(5, time=at), now[0])
                    if rng.random() < 0.2:
                        recorder.mark("go", "window", now[0] - rng.choice((0.0, 5.0, -5.0, 1e5)))
            session = open_session(place)
            report_page(session)
            if (
                int(session.group.frames.sum()) != frames
                or (session.group.second[1:] <= session.group.second[:-1]).any()
            ):
                raise AssertionError(f"{int(session.group.frames.sum())} of {frames} frames, {session.group.second}")
            tell({"number": number, "read": not session.gaps})
        except Exception as error:
            tell({"number": number, "fault": f"{type(error).__name__}: {error}"})


def _first(values: list[float]) -> float:
    return values[0]


def _cameras(seed: int, times: int, tell: Tell) -> None:
    """Read cameras that fail and come back: every picture that was there comes, in order, and the end is told."""
    opened = cv2.VideoCapture
    try:
        for number in range(times):
            rng = random.Random(f"{seed}-{number}")
            scripts: list[Any] = [[picture(1), picture(2)]]
            for _ in range(rng.randrange(1, 5)):
                step = [picture(rng.randrange(250)) for _ in range(rng.randrange(4))]
                scripts.append(rng.choice((REFUSE, [*step, RAISE], [*step, EMPTY, *step], step)))
            shown = sum(not isinstance(one, str) for script in scripts if script != REFUSE for one in script)
            cv2.VideoCapture = ScriptedCameras(*scripts)  # type: ignore[assignment,misc]
            told: list[str] = []
            fake, got, options = FakeTime(), 0, CameraOptions(regain_s=60, hang_s=30)
            source = LiveSource(3, "camera 3", options, on_event=told.append, clock=fake.clock, wait=fake.wait)
            try:
                last = -1.0
                for frame in source:
                    got += 1
                    if frame.time < last:
                        raise AssertionError(f"time went back from {last} to {frame.time}")
                    last = frame.time
                raise AssertionError("expected an error at the end, got none")
            except SourceError as end:
                # The first picture of an opened camera may be read to see whether it works.
                if not (2 <= got <= shown) or "\n" in str(end) or not told:
                    tell({"number": number, "fault": f"{got} of {shown} pictures, {end}, {told}"})
                else:
                    tell({"number": number, "read": False})
            except Exception as error:
                tell({"number": number, "fault": f"{type(error).__name__}: {error}"})
            finally:
                source.close()
    finally:
        cv2.VideoCapture = opened  # type: ignore[misc]


def _receivers(tell: Tell) -> None:
    """Send to receivers that are not there, say nothing, answer nonsense, or do not read."""
    silent = socket.create_server(("127.0.0.1", 0))
    noisy = socket.create_server(("127.0.0.1", 0))
    dead = socket.create_server(("127.0.0.1", 0))
    closed = dead.getsockname()[1]
    dead.close()
    free = socket.create_server(("127.0.0.1", 0))
    served = free.getsockname()[1]
    free.close()

    def answer_nonsense() -> None:
        rng = random.Random(0)
        while True:
            try:
                with closing(noisy.accept()[0]) as talking:
                    talking.settimeout(0.5)
                    talking.recv(4096)
                    talking.sendall(rng.randbytes(200))
            except TimeoutError:
                continue
            except OSError:
                return

    threading.Thread(target=answer_nonsense, daemon=True).start()
    for to in (
        f"osc://127.0.0.1:{closed}",
        f"mqtt://127.0.0.1:{silent.getsockname()[1]}/topic",
        f"mqtt://127.0.0.1:{noisy.getsockname()[1]}/topic",
        f"ws://127.0.0.1:{served}",
    ):
        began, longest = time.perf_counter(), 0.0
        try:
            with Sinks([to], SinkOptions(), classes=CLASSES, on_event=lambda _: None) as sinks:
                clients = []
                if to.startswith("ws"):
                    ask = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    ask += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                    for number in range(20):
                        client = socket.create_connection(("127.0.0.1", served), timeout=5)
                        client.sendall(ask[: None if number % 2 else number * 5])
                        clients.append(client)
                for number in range(300):
                    one = time.perf_counter()
                    sinks.submit({"kind": "mark", "label": "x" * 2000, "time": float(number)})
                    longest = max(longest, time.perf_counter() - one)
                    time.sleep(0.001)
            for client in clients:
                client.close()
        except MoodspaceError as error:
            if "\n" in str(error):
                tell({"number": 0, "fault": f"{to}: {error}"})
                continue
        except Exception as error:
            tell({"number": 0, "fault": f"{to}: {type(error).__name__}: {error}"})
            continue
        seconds = time.perf_counter() - began
        if longest > _MOST_SUBMIT_S or seconds > 60:
            told = f"{to}: handing over took up to {longest:.2f} s, all {seconds:.0f} s"
            tell({"number": 0, "fault": told})
        else:
            tell({"number": 0, "read": False})
    silent.close()
    noisy.close()


def _two_writers(folder: Path, tell: Tell) -> None:
    """Let two processes write the same files at once: each write is whole or refused, and the last state is whole."""
    for kind in STORES:
        store = _begun(kind, folder)

        def write(first: int, store: Store = store) -> None:
            opened = store.opened()
            for number in range(first, first + 6):
                try:
                    opened.write(number)
                except (MoodspaceError, OSError) as refused:
                    if "\n" in str(refused):
                        raise

        if kind is TaughtStore:  # its states build on one another; `tests/index` has two teachers
            tell({"number": 0, "read": True})
            continue
        children = [forked(partial(write, first)) for first in (2, 1002)]
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses):
            tell({"number": 0, "fault": f"{kind.name}: a writer failed"})
            continue
        problems = []
        for number in (*range(2, 8), *range(1002, 1008)):
            try:
                store.found(number, False)
                break
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}")
        else:
            if kind.name == "session":  # each writer has a folder of its own
                tell({"number": 0, "read": True})
                continue
            tell({"number": 0, "fault": f"{kind.name}: no whole state of either writer: {problems[0]}"})
            continue
        tell({"number": 0, "read": True})
