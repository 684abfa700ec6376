"""Kill writers with `kill -9` at random instants: the files must hold the old state or the new one, whole.

For each kind of file a process writes state after state without pause. It tells when a write begins and ends; it is
killed at a random instant, and what it leaves is read and compared with the only two states that may be there: the last
one that was told to be finished, and the one that was being written.
"""

import csv
import json
import os
import random
import select
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as parquet

from benchmarks.faults.outcome import Amount, Outcome
from moodspace.classifier.baseline import Baseline
from moodspace.classifier.bundle import bundle as bundles
from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex
from moodspace.realtime.session.export import export_session
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.realtime.videos.reading import Done, Event, Job, ReadSettings, Rows, Summary, column_names, file_sha256
from moodspace.realtime.videos.run import recognize_videos
from moodspace.realtime.videos.table import manifest_path, summary_path
from moodspace.sessions import Session
from moodspace.viz.report.page import write_report
from tests.classifier.conftest import StandIn
from tests.fake_encoder import plain_calibration
from tests.index import taught_faults
from tests.index.disk_faults import forked
from tests.realtime.session.recordings import CLASSES, STARTED, group

# Kills of one folder; then a new one is begun, so that the states stay small.
_IN_ONE_FOLDER = 200
_START_S = 20.0
_BEGUN, _ENDED = b"<", b">"
Tell = Callable[[bytes], None]


class MixedError(Exception):
    """The files hold a state that is neither the old nor the new one."""


class LostError(Exception):
    """A state that was finished is gone, or cannot be read."""


class Store(ABC):
    """A kind of file that is written over and over.

    Args:
        folder: A folder of its own.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self) -> "Store":
        """Do what a program does before it writes; runs in the process that is killed."""
        return self

    @abstractmethod
    def write(self, number: int) -> None:
        """Make state `number` of the one before; state 0 is an empty folder."""

    @abstractmethod
    def found(self, finished: int, begun: bool) -> int:
        """Return the number of the state that the files hold.

        Args:
            finished: The last state that was finished.
            begun: Whether the next one was begun.

        Raises:
            MixedError: The parts belong to several states.
            LostError: They cannot be read, or less is there than was finished.
        """

    def traces(self) -> bool:
        """Return whether the files show that a write was interrupted."""
        return any(".partial" in path.name or path.name.startswith((".staging", "new-")) for path in self._all())

    def _all(self) -> Iterator[Path]:
        return self.folder.rglob("*")


class TaughtStore(Store):
    """The user's gallery: lessons, a folder in step, forgotten classes, undo."""

    name = "user gallery"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        taught_faults.opened(folder).close()
        self._state: taught_faults.State = {}
        self._last, self._at = taught_faults.FIRST - 1, 0

    def opened(self) -> "TaughtStore":
        """See `Store.opened`."""
        self._gallery = taught_faults.opened(self.folder)
        return self

    def write(self, number: int) -> None:
        """See `Store.write`."""
        taught_faults.change(self._gallery, number)

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        now, faces = taught_faults.found(self.folder)
        if now not in (finished, finished + begun):
            raise LostError(f"state {now} after state {finished} was finished")
        for number in range(self._at + 1, now + 1):
            self._state, self._last = taught_faults.changed(self._state, self._last, number)
        self._at = now
        if faces != self._state:
            raise MixedError(f"expected {len(self._state)} faces in state {now}, got {len(faces)} or others")
        return now

    def traces(self) -> bool:
        """See `Store.traces`."""
        return False


def _rows(number: int, n: int = 40, dim: int = 16) -> np.ndarray:
    rows = np.random.default_rng(number).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _gallery(number: int, classes: dict[str, tuple[str, ...]]) -> Gallery:
    n = 40
    labels = {name: np.full(n, number % len(names)) for name, names in classes.items()}
    return Gallery(_rows(number), np.arange(n), labels, classes, np.full(n, f"{number}"), np.full(n, float(number)))


class IndexStore(Store):
    """The index of a gallery, replaced as a whole."""

    name = "index"
    _classes: ClassVar[dict[str, tuple[str, ...]]] = {"fer2013": CLASSES}

    def write(self, number: int) -> None:
        """See `Store.write`."""
        GalleryIndex(_gallery(number, self._classes), encoder=f"{number}").save(self.folder / "index")

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        if not (self.folder / "index" / "manifest.json").exists():
            return _absent(finished)
        index = GalleryIndex.load(self.folder / "index")
        gallery, number = index.gallery, int(index.encoder)
        wanted = _gallery(number, self._classes)
        same = np.array_equal(gallery.sources, wanted.sources) and np.array_equal(gallery.added, wanted.added)
        if not same or not np.allclose(gallery.embeddings, wanted.embeddings, atol=1e-3):
            raise MixedError(f"state {number} with rows of another")
        return _checked(number, finished, begun)

    def traces(self) -> bool:
        """See `Store.traces`."""
        return len(list((self.folder / "index").glob("*"))) > 4


class BundleStore(Store):
    """A bundle: every third time all of it, else parts of it."""

    name = "bundle"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # A network that LiteRT would read takes longer to load than all else together.
        bundles.LiteRTEncoder = StandIn  # type: ignore[assignment,misc]
        self._classes: dict[str, tuple[str, ...]] = {"fer2013": CLASSES}
        self._path = folder / "bundle"

    def write(self, number: int) -> None:
        """See `Store.write`."""
        gallery, alpha = _gallery(number, self._classes), (number % 100) / 100
        calibrations = {"fer2013": replace(plain_calibration(len(CLASSES)), alpha=alpha)}
        if number % 3 == 1 or not (self._path / "manifest.json").exists():
            network = self.folder / "network.json"
            network.write_text(json.dumps({"seed": number, "dim": 16}))
            bundles.save_bundle(
                self._path, encoder=network, flip=False, gallery=gallery, classes=self._classes,
                default_labels="fer2013", geometry=DEFAULT_GEOMETRY, calibrations=calibrations,
                map_coordinates=gallery.embeddings[:, :2].copy(), metrics={"state": number},
            )  # fmt: skip
        else:
            bundles.update_bundle(
                self._path, gallery=gallery, calibrations=calibrations, metrics={"state": number},
                map_coordinates=gallery.embeddings[:, :2].copy(),
            )  # fmt: skip

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        if not (self._path / "manifest.json").exists():
            return _absent(finished)
        bundle = bundles.load_bundle(self._path)
        number = int(bundle.meta["metrics"]["state"])
        wanted, places = _gallery(number, self._classes), bundle.map_coordinates
        parts = (
            bundle.calibrations["fer2013"].alpha == (number % 100) / 100,
            np.array_equal(bundle.index.gallery.sources, wanted.sources),
            places is not None and np.allclose(places, wanted.embeddings[:, :2], atol=1e-6),
        )
        if not all(parts):
            raise MixedError(f"state {number} with parts of another: {parts}")
        return _checked(number, finished, begun)

    def traces(self) -> bool:
        """See `Store.traces`."""
        return len(list(self._path.glob("*"))) > 6


class SessionStore(Store):
    """Sessions that are recorded one after the other, with marks: each second and mark stays."""

    name = "session"
    _STEPS = 30

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._first = 0
        self._recorder: SessionRecorder | None = None

    def opened(self) -> "SessionStore":
        """See `Store.opened`."""
        self._recorder = None
        return self

    def write(self, number: int) -> None:
        """See `Store.write`."""
        session, step = divmod(number - 1, self._STEPS)
        # A killed session is not taken up again: steps of it that are left over belong to a new folder.
        place = self.folder / f"{session:06d}-{os.getpid()}"
        if self._recorder is None:
            (self.folder / f"{session:06d}.begins").write_text(str(step))
            recorder = SessionRecorder(place, classes=CLASSES, source=str(session), now=lambda: STARTED + 1000)
            recorder.__enter__()
            self._recorder = recorder
        if step == self._STEPS - 1:
            recorder, self._recorder = self._recorder, None
            recorder.__exit__(None, None, None)
        elif step % 3 == 2:
            self._recorder.mark(f"event {number}", "window", STARTED + step)
        else:
            self._recorder.add(group(5, time=float(step), proba=_shares(number)), STARTED + step)

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        written: set[int] = set()
        marked: set[int] = set()
        for path in sorted(self.folder.iterdir()):
            if not path.is_dir() or not (path / "session.sqlite").exists():
                continue
            try:
                session = open_session(path)
            except SessionError as error:
                if "before it began" not in str(error):
                    raise
                continue
            self._compare(session, written, marked)
        lost = [
            number
            for number in range(self._first + 1, finished + 1)
            if ((kind := self._kind(number)) == "mark" and number not in marked)
            or (kind == "frame" and number not in written and self._is_due(number, finished))
        ]  # fmt: skip
        if lost:
            raise LostError(f"steps {lost[:5]} of {finished} were finished and are gone")
        too_many = [number for number in written | marked if number > finished + begun]
        if too_many:
            raise MixedError(f"steps {too_many[:5]} came from nowhere, {finished} were finished")
        for path in list(self.folder.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._first = finished + begun  # what was begun may be there or not; the next one is sure
        return self._first

    def _kind(self, number: int) -> str:
        step = (number - 1) % self._STEPS
        return "end" if step == self._STEPS - 1 else "mark" if step % 3 == 2 else "frame"

    def _is_due(self, number: int, finished: int) -> bool:
        """Return whether a frame must be on the disk: a later one, or the end, of the same session was finished."""
        session = (number - 1) // self._STEPS
        later = range(number + 1, min(finished, (session + 1) * self._STEPS) + 1)
        return any(self._kind(one) != "mark" for one in later)

    def _compare(self, session: Session, written: set[int], marked: set[int]) -> None:
        first = int(session.source) * self._STEPS + 1
        beginning = round(float(session.group.wall[0]) - STARTED) if len(session.group.second) else 0
        for second, wall, proba in zip(session.group.second, session.group.wall, session.group.proba, strict=True):
            number = first + round(float(wall) - STARTED)
            if not np.allclose(proba, _shares(number), atol=1e-4) or int(second) > number - first - beginning + 1:
                raise MixedError(f"second {second} of session {session.source} has the values of another")
            written.add(number)
        marked |= {int(mark.name.removeprefix("event ")) for mark in session.marks}

    def traces(self) -> bool:
        """See `Store.traces`."""
        return False


def _shares(number: int) -> tuple[float, float, float]:
    one = (number % 97) / 200
    return one, 0.25, 0.75 - one


class TableStore(Store):
    """What `predict --out` writes: table, summary and manifest, and the work file beside them."""

    name = "video table"
    suffix = ".csv"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._out = folder / f"table{self.suffix}"
        self._sources = [folder / "a.mp4", folder / "b.mp4"]
        self._sources[0].write_bytes(b"always the same")
        self._settings = ReadSettings(Path("bundle"), "0" * 64, "fer2013")
        self._between = 0

    def write(self, number: int) -> None:
        """See `Store.write`."""
        self._sources[1].write_text(f"{number:08d}" * (1 + number % 3))

        def engine(jobs: Sequence[Job]) -> Iterator[tuple[Job, Event]]:
            for job in jobs:
                value = number if job.path.name == "b.mp4" else 0
                yield job, Rows({name: [_cell(name, job, value)] * 200 for name in column_names(CLASSES)})
                yield job, Done(Summary(job.name, frames=200, rows=200, sha256=file_sha256(job.path), faces=value))

        recognize_videos(
            self._sources, self._out, self._settings, classes=CLASSES, version="1", engine=engine
        )  # fmt: skip

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        table, summary, manifest = self._out, summary_path(self._out), manifest_path(self._out)
        if not table.exists():
            if summary.exists() or manifest.exists():
                raise MixedError("a summary or a manifest without a table")
            return _absent(finished) if finished else 0
        values = {int(float(row["face"])) for row in self._read(table) if row["video"].endswith("b.mp4")}
        if len(values) != 1 or len(self._read(table)) != 400:
            raise MixedError(f"a table with rows of states {sorted(values)}")
        states = values | (
            {int(float(row["faces"])) for row in self._read(summary) if row["video"].endswith("b.mp4")}
            if summary.exists() else set()
        )  # fmt: skip
        if manifest.exists():
            named = json.loads(manifest.read_text())
            if named["table"]["sha256"] != file_sha256(table) or not summary.exists():
                raise MixedError("a manifest of another table")
            if named["summary"]["sha256"] != file_sha256(summary):
                raise MixedError("a manifest of another summary")
        else:
            self._between += 1
        if len(states) != 1:
            raise MixedError(f"a table and a summary of states {sorted(states)}")
        return _checked(states.pop(), finished, begun)

    def _read(self, path: Path) -> list[dict[str, str]]:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


class ParquetTableStore(TableStore):
    """The same as Parquet."""

    name = "video table (parquet)"
    suffix = ".parquet"

    def _read(self, path: Path) -> list[dict[str, str]]:
        return [{name: str(value) for name, value in row.items()} for row in parquet.read_table(path).to_pylist()]


def _cell(name: str, job: Job, value: int) -> object:
    if name in ("video", "expression", "reason"):
        return job.name if name == "video" else "happy"
    if name == "readable":
        return True
    return value if name in ("face", "frame", "frames") else 0.5


class SettingsStore(Store):
    """A small file of settings that is replaced: a person's resting face."""

    name = "settings (resting face)"

    def write(self, number: int) -> None:
        """See `Store.write`."""
        row = np.full(512, number / 1e6, np.float32)
        Baseline(row, {"fer2013": row[:7]}, number, "encoder").save(self.folder / "rest.json")

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        path = self.folder / "rest.json"
        if not path.exists():
            return _absent(finished)
        values = json.loads(path.read_text())
        if len(values["embedding"]) != 512 or {round(one * 1e6) for one in values["embedding"]} != {values["frames"]}:
            raise MixedError(f"a resting face of {values['frames']} frames with the values of another")
        return _checked(values["frames"], finished, begun)


class ReportStore(Store):
    """What is made of a session: the report and the table, each replaced as a whole."""

    name = "report and export"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with SessionRecorder(folder / "session", classes=CLASSES, source="x", now=lambda: STARTED) as recorder:
            for at in range(60):
                recorder.add(group(5, time=float(at)), STARTED + at)
        self._session = open_session(folder / "session")

    def write(self, number: int) -> None:
        """See `Store.write`."""
        session = replace(self._session, source=f"state {number}", started=float(number) * 1000)
        group = replace(session.group, wall=session.group.wall - STARTED + number * 1000)
        session = replace(session, group=group)
        write_report(session, self.folder / "report.html")
        export_session(session, self.folder / "export.csv")

    def found(self, finished: int, begun: bool) -> int:
        """See `Store.found`."""
        report, export = self.folder / "report.html", self.folder / "export.csv"
        if report.exists():
            page = report.read_text(encoding="utf-8")
            if not page.rstrip().endswith("</html>"):
                raise MixedError(f"half a report, {len(page)} characters")
            number = int(page.partition("state ")[2].split("<")[0].split(",")[0].split(" ")[0].strip(". "))
            _checked(number, finished, begun)
        elif finished:
            raise LostError("the report is gone")
        if export.exists():
            with export.open(newline="") as file:
                rows = list(csv.DictReader(file))
            if len(rows) != len(self._session.group.second):
                raise MixedError(f"half a table, {len(rows)} rows")
        elif finished:
            raise LostError("the table is gone")
        return finished


def _absent(finished: int) -> int:
    if finished:
        raise LostError(f"nothing is there after state {finished} was finished")
    return 0


def _checked(number: int, finished: int, begun: bool) -> int:
    if number not in (finished, finished + begun):
        raise LostError(f"state {number} after state {finished} was finished")
    return number


# Each store with its share of the kills.
STORES: dict[type[Store], int] = {
    TaughtStore: 3, SessionStore: 3, BundleStore: 3, IndexStore: 2, TableStore: 3, ParquetTableStore: 1,
    SettingsStore: 3, ReportStore: 2,
}  # fmt: skip


def kill_writers(amount: Amount, folder: Path) -> list[Outcome]:
    """Kill writers of all stores; return one outcome for each."""
    total, outcomes = sum(STORES.values()), []
    for number, (store, share) in enumerate(STORES.items()):
        outcomes.append(kill_writer(store, max(1, round(amount.kills * share / total)), amount.seed + number, folder))
    return outcomes


def kill_writer(store: type[Store], times: int, seed: int, folder: Path) -> Outcome:
    """Kill a writer of one store so many times.

    Args:
        store: What it writes.
        times: How many kills.
        seed: Of the instants.
        folder: Gets a folder for each few kills.
    """
    outcome, instants, began = Outcome(f"kill -9: {store.name}"), random.Random(seed), time.perf_counter()
    lost = mixed = traces = states = 0
    longest, at, place = 0.02, 0, store(_fresh(folder, store))
    while outcome.tried < times:
        if outcome.tried and outcome.tried % _IN_ONE_FOLDER == 0:
            states += at
            at, place = 0, store(_fresh(folder, store))
        told = _killed(place, at + 1, instants.random() * longest)
        finished, begun = at + told.count(_ENDED), told.endswith(_BEGUN)
        longest = min(max(longest * (1.1 if finished == at else 0.9 if finished > at + 4 else 1), 0.002), 2.0)
        outcome.tried += 1
        outcome.landed += begun
        traces += place.traces()
        try:
            at = place.found(finished, begun)
        except MixedError as error:
            mixed += 1
            outcome.fault(f"mixed: {error}")
        except Exception as error:
            lost += 1
            outcome.fault(f"lost: {type(error).__name__}: {error}")
        else:
            continue
        at, place = 0, store(_fresh(folder, store))
    between = getattr(place, "_between", 0)
    outcome.counts = {"lost": lost, "mixed": mixed, "states written": states + at, "with leftovers": traces}
    if isinstance(place, TableStore):
        outcome.counts["without a manifest"] = between
    outcome.seconds = time.perf_counter() - began
    shutil.rmtree(folder / "kills", ignore_errors=True)
    return outcome


def _fresh(folder: Path, store: type[Store]) -> Path:
    place = folder / "kills" / store.__name__
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def _killed(store: Store, first: int, seconds: float) -> bytes:
    """Kill a writer so many seconds after its first write began; return what it told until then."""
    read_end, write_end = os.pipe()

    def work() -> None:
        os.close(read_end)
        opened = store.opened()
        for number in range(first, first + 100_000):
            os.write(write_end, _BEGUN)
            opened.write(number)
            os.write(write_end, _ENDED)

    child = forked(work)
    os.close(write_end)
    try:
        if select.select([read_end], [], [], _START_S)[0]:
            time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    finally:
        os.waitpid(child, 0)
        with os.fdopen(read_end, "rb") as pipe:
            told = pipe.read()
    return told
