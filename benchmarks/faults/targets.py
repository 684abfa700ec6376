"""A fuzz target for each parser: a function of bytes that returns whether they were read, or raises what is a fault.

    python -m benchmarks targets                  # list them
    python -m benchmarks targets session FILE...  # read these files
    python -m benchmarks targets session --atheris corpus/ -max_total_time=600

`python -m benchmarks faults` feeds all of them with changed inputs. With `--atheris`, where that package is installed,
libFuzzer chooses the inputs of one; what follows are its own arguments.
"""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.mutate import BYTES, JSON, SQLITE, TEXT
from moodspace.embeddings.data.labels import ClassNameError
from moodspace.errors import MoodspaceError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from tests.fake_encoder import FakeEncoder, fake_bundle
from tests.realtime.session.recordings import CLASSES, STARTED, group

FuzzOne = Callable[[bytes], bool]
_LONGEST_LINE = 30_000
_FRAMES = 40


class FaultError(Exception):
    """A refusal that is not one clear line."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser.

    Attributes:
        fuzz_one: Reads bytes; returns whether they were taken, raises for a fault.
        seeds: Returns whole inputs to begin with.
        kind: How the inputs are built, see `mutate`.
        share: Its share of the inputs.
    """

    fuzz_one: FuzzOne
    seeds: Callable[[], list[bytes]]
    kind: str = BYTES
    share: int = 2


@cache
def work_folder() -> Path:
    """Return a folder of this process, removed at its end."""
    holder = tempfile.TemporaryDirectory(prefix="moodspace-faults-")
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[Any] = []


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        yield Path(folder)


def reading(*also: type[BaseException]) -> Callable[[Callable[[bytes], object]], FuzzOne]:
    """Make a fuzz target of a function that reads bytes: what it refuses must be one clear line.

    Args:
        also: Errors besides `MoodspaceError` that the parser documents.
    """
    refused: tuple[type[BaseException], ...] = (MoodspaceError, *also)

    def made(read: Callable[[bytes], object]) -> FuzzOne:
        def fuzz_one(data: bytes) -> bool:
            try:
                return read(data) is not False
            except refused as error:
                check_line(str(error))
                return False

        return fuzz_one

    return made


def check_line(text: str) -> None:
    """Raise `FaultError` unless a refusal is one line that says what was expected."""
    if "\n" in text or "Traceback" in text or len(text) > _LONGEST_LINE or "expected" not in text:
        raise FaultError(f"expected one line on what was expected, got {text[:400]!r}")


@cache
def _bundle() -> Any:
    from tests.drawn_faces import drawn_faces

    return fake_bundle(drawn_faces(40, seed=0))


@cache
def _files() -> dict[str, bytes]:
    from tests.mutants import originals

    return originals(work_folder() / "videos")


def _videos() -> list[bytes]:
    (work_folder() / "videos").mkdir(exist_ok=True)
    return [content for name, content in _files().items() if Path(name).suffix in _VIDEOS]


def _pictures() -> list[bytes]:
    (work_folder() / "videos").mkdir(exist_ok=True)
    return [content for name, content in _files().items() if Path(name).suffix not in _VIDEOS]


_VIDEOS = {".mp4", ".mkv", ".avi", ".mpg", ".ts", ".webm", ".flv", ".wmv", ".mov", ".mjpg"}


# Pictures and videos


@reading()
def picture(data: bytes) -> object:
    """A picture file of `predict`, `teach` and `index`."""
    from moodspace.embeddings.pictures import read_rgb

    with _folder() as folder:
        (folder / "a.png").write_bytes(data)
        return read_rgb(folder / "a.png")


@reading()
def uploaded_picture(data: bytes) -> object:
    """A picture of the Photo and Teach pages."""
    from moodspace.web.server.decoding import decode_picture
    from moodspace.web.server.settings import Limits

    return decode_picture(data, Limits())


@reading()
def video(data: bytes) -> object:
    """A video file of `live` and `predict`."""
    from moodspace.realtime.capture.files import open_source

    with _folder() as folder:
        (folder / "a.mp4").write_bytes(data)
        with open_source(str(folder / "a.mp4"), files_only=True) as source:
            times = [frame.time for frame, _ in zip(source, range(_FRAMES), strict=False)]
    if times != sorted(times):
        raise FaultError(f"expected ascending times, got {times}")
    return times


@reading()
def uploaded_video(data: bytes) -> object:
    """A video of the Video page."""
    from moodspace.web.components.videos import analyze_video
    from moodspace.web.server.settings import Limits
    from tests.web.looked_at import RECOGNIZER, recognize

    return analyze_video("a.mp4", data, recognize, RECOGNIZER, Limits(), lambda *_: None)


# Data sets


def _labelled(name: str, data: bytes) -> object:
    from moodspace.embeddings.data.readers import read_labelled_faces

    with _folder() as folder:
        (folder / name).write_bytes(data)
        return read_labelled_faces(folder / name)


@reading()
def csv_faces(data: bytes) -> object:
    """A data set as csv, as FER2013 is."""
    return _labelled("fer2013.csv", data)


@reading()
def parquet_faces(data: bytes) -> object:
    """A data set as Parquet."""
    return _labelled("train.parquet", data)


def _table(name: str) -> list[bytes]:
    from tests.mutants import tables

    return [tables()[name]]


# Galleries and bundles


@cache
def _taught() -> dict[str, bytes]:
    from moodspace.index.taught.exchange import export_gallery
    from moodspace.index.taught.faces import NewFaces
    from moodspace.index.taught.gallery import open_taught

    folder, encoder = work_folder() / "taught", FakeEncoder()
    rows = encoder.encode(np.random.default_rng(0).integers(0, 256, (12, 48, 48)).astype(np.uint8)).embeddings
    labels, digests = ["happy"] * 6 + ["tired"] * 6, [f"{at:064x}" for at in range(12)]
    with open_taught(folder, encoder="fake", dim=encoder.dim) as gallery:
        gallery.add(NewFaces(rows, labels, ["a.png"] * 12, digests))
        made = {}
        for name in ("faces.json", "faces.parquet"):
            export_gallery(gallery, work_folder() / name)
            made[name] = (work_folder() / name).read_bytes()
    made["gallery.sqlite"] = (folder / "gallery.sqlite").read_bytes()
    return made


def _imported(data: bytes) -> object:
    from moodspace.index.taught.gallery import open_taught
    from moodspace.web.components.teaching import imported

    with _folder() as folder, open_taught(folder / "g", encoder="fake", dim=FakeEncoder().dim) as gallery:
        try:
            added, _ = imported(gallery, data)
        except MoodspaceError as error:
            if len(gallery) or str(folder) in str(error):
                raise FaultError(f"{len(gallery)} faces after a refusal, {error}") from error
            raise
        if problems := gallery.verify():
            raise FaultError(f"{added} faces were imported and are damaged: {problems}")
        return gallery.snapshot()


faces_json = reading()(_imported)
faces_parquet = reading()(_imported)


@reading()
def gallery_file(data: bytes) -> object:
    """The file of a user's gallery."""
    from moodspace.index.taught.gallery import open_taught

    with _folder() as folder:
        (folder / "gallery.sqlite").write_bytes(data)
        with open_taught(folder, encoder="fake", dim=FakeEncoder().dim) as gallery:
            if gallery.verify():
                return None
            list(gallery.rows())
            snapshot = gallery.snapshot()
            return snapshot and snapshot.search(np.eye(1, FakeEncoder().dim, dtype=np.float32), 3), gallery.summary()


@cache
def _saved() -> Path:
    from moodspace.classifier.bundle import bundle as bundles
    from tests.classifier.conftest import StandIn

    bundles.LiteRTEncoder = StandIn  # type: ignore[assignment,misc]
    made, network, folder = _bundle(), work_folder() / "network.json", work_folder() / "bundle"
    network.write_text(json.dumps({"seed": 0, "dim": made.encoder.dim}))
    bundles.save_bundle(
        folder, encoder=network, flip=False, gallery=made.index.gallery, classes=made.classes,
        default_labels=made.default_labels, geometry=made.geometry, calibrations=made.calibrations, blend=made.blend,
        map_coordinates=made.map_coordinates,
    )  # fmt: skip
    return folder


def _loaded(name: str, data: bytes) -> object:
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.recognizer import Recognizer

    with _folder() as folder:
        shutil.copytree(_saved(), folder / "b")
        (folder / "b" / name).write_bytes(data)
        bundle = load_bundle(folder / "b")
        crops = np.zeros((1, 48, 48), np.uint8)
        return [Recognizer(bundle, view).predict(crops) for view in bundle.views]


@reading()
def bundle_manifest(data: bytes) -> object:
    """The manifest of a bundle."""
    return _loaded("manifest.json", data)


@reading()
def bundle_gallery(data: bytes) -> object:
    """The gallery of a bundle, damaged."""
    return _loaded("gallery.npz", data)


# Sessions


@cache
def _session() -> Path:
    folder = work_folder() / "session"
    with SessionRecorder(folder, classes=CLASSES, source="camera 0", individuals=True, now=lambda: STARTED) as recorder:
        for second in range(12):
            recorder.add(group(5 if second % 4 else 2, time=float(second)), STARTED + second)
            recorder.mark(f"event {second}", "window", STARTED + second)
    return folder


def _shown(session: Any, folder: Path) -> object:
    """Do with a session what `report` and the Session page do."""
    from moodspace.realtime.session.export import export_epochs, export_session
    from moodspace.viz.report.page import report_page
    from moodspace.web.components.recording import document_file, overview, problem, state

    report_page(session)
    export_session(session, folder / "a.csv")
    if session.marks:
        export_epochs(session, -1.0, 2.0, folder / "e.csv")
    overview(session), state(session, recording=False), problem(session, STARTED, recording=False)
    return document_file(session)


@reading()
def session_file(data: bytes) -> object:
    """The database of a session, through the report, the export and the Session page."""
    with _folder() as folder:
        (folder / "session.sqlite").write_bytes(data)
        return _shown(open_session(folder), folder)


@reading()
def session_json(data: bytes) -> object:
    """A session as the web apps save it."""
    with _folder() as folder:
        (folder / "session.json").write_bytes(data)
        return _shown(open_session(folder / "session.json"), folder)


def _session_document() -> list[bytes]:
    from moodspace.web.components.recording import document_file

    return [document_file(open_session(_session()))]


@reading(ValueError)
def marks_csv(data: bytes) -> object:
    """A table of events."""
    from moodspace.realtime.session.marks import with_marks

    with _folder() as folder:
        (folder / "marks.csv").write_bytes(data)
        return with_marks(open_session(_session()), folder / "marks.csv")


# Small files and texts


@reading()
def baseline_json(data: bytes) -> object:
    """A saved resting face."""
    from moodspace.classifier.baseline import load_baseline, rest_of
    from moodspace.classifier.recognizer import Recognizer

    with _folder() as folder:
        (folder / "rest.json").write_bytes(data)
        return rest_of(load_baseline(folder / "rest.json", _bundle()), Recognizer(_bundle()))


def _baseline() -> list[bytes]:
    from moodspace.classifier.baseline import Baseline

    encoded = _bundle().encoder.encode(np.full((5, 48, 48), 90, np.uint8))
    path = work_folder() / "rest.json"
    Baseline.mean(encoded, _bundle().encoder_spec.fingerprint).save(path)
    return [path.read_bytes()]


@reading()
def training_log(data: bytes) -> object:
    """The log of a training, for `curves`."""
    from moodspace.embeddings.training.training_folder import find_log, read_log

    with _folder() as folder:
        (folder / "log.csv").write_bytes(data)
        return read_log(find_log(folder / "log.csv"))


@reading()
def work_file(data: bytes) -> object:
    """The work file beside a table of videos."""
    from moodspace.realtime.videos.reading import Job
    from moodspace.realtime.videos.work import WorkFile

    with _folder() as folder:
        (folder / "table.csv.work").write_bytes(data)
        (folder / "a.mp4").write_bytes(b"a")
        with WorkFile(folder / "table.csv", {"view": "fer2013"}) as work:
            summary = work.finished(Job("a.mp4", folder / "a.mp4"))
            return summary and list(work.rows("a.mp4"))


def _work() -> list[bytes]:
    from moodspace.realtime.videos.reading import Job, Summary, file_sha256
    from moodspace.realtime.videos.work import WorkFile

    folder = work_folder() / "work"
    folder.mkdir(exist_ok=True)
    (folder / "a.mp4").write_bytes(b"a")
    job = Job("a.mp4", folder / "a.mp4")
    with WorkFile(folder / "table.csv", {"view": "fer2013"}) as work:
        work.begin(job)
        work.add(job, {"video": ["a.mp4"] * 3, "face": [1, 2, 3]})
        work.finish(job, Summary("a.mp4", rows=3, sha256=file_sha256(job.path)))
    # As if another machine's clock had set the time of the copy.
    return [(folder / "table.csv.work").read_bytes()]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@reading(ValueError)
def destination(data: bytes) -> object:
    """An address behind `--to`."""
    from moodspace.realtime.sinks.destination import SinkOptions, destinations_of

    return destinations_of([_text(data)], SinkOptions())


@reading()
def class_names(data: bytes) -> object:
    """The name of a class, as it is typed on a command line or a page."""
    from moodspace.embeddings.data.labels import class_name
    from moodspace.web.components.teaching import class_name as typed

    with contextlib.suppress(ClassNameError):
        class_name(_text(data))
    return typed(_text(data))


@reading()
def sampling(data: bytes) -> object:
    """What `--every` takes."""
    from moodspace.realtime.capture.sampling import Sampling

    return Sampling.parse(_text(data))


# What the live server receives


@reading()
def live_frame(data: bytes) -> object:
    """A frame of the Live page."""
    from moodspace.web.live.messages import decode_frame, read_frame

    return decode_frame(read_frame(data).jpeg)


@reading()
def live_request(data: bytes) -> object:
    """A request of the Live page."""
    from moodspace.web.live.messages import read_request

    return json.dumps(read_request(data.decode("utf-8", "replace")))


@reading()
def mark_request(data: bytes) -> object:
    """The body of `POST /mark`, down to the recording."""
    from moodspace.web.server.marks import HTTP, read_event

    name, wall_time = read_event(data, STARTED + 60)
    with _folder() as folder:
        recorder = SessionRecorder(folder, classes=CLASSES, source="x", now=lambda: STARTED)
        with recorder:
            recorder.add(group(5), STARTED)
            return recorder.mark(name, HTTP, wall_time)


@reading()
def http_request(data: bytes) -> object:
    """The head of a request, through the checks of token, host, origin and size."""
    from moodspace.web.server.middleware import AuthMiddleware
    from moodspace.web.server.settings import WebSettings
    from tests.web.asgi import ask

    method, path, query, *rest = [*data.decode("latin-1").split("\n"), "", "", ""]
    headers: Any = dict(line.split(":", 1) for line in rest if ":" in line)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    guarded = AuthMiddleware(app, WebSettings(token="a-token-of-mine", host="0.0.0.0"))
    answer = ask(guarded, path or "/", query=query, method=method or "GET", **headers)
    if answer.status not in (200, 303, 400, 403, 413):
        raise FaultError(f"expected an answer, got {answer.status}")
    # Health is open, and marks have tokens of their own.
    is_open = path == "/_stcore/health" or (path, method) == ("/mark", "POST")
    if answer.body == b"inside" and b"a-token-of-mine" not in data and not is_open:
        raise FaultError(f"let in without the token: {data!r}")
    return answer.status == 200


@reading(ValueError)
def lsl_event(data: bytes) -> object:
    """An event from another program over LSL: a name, and a moment that may be anything."""
    name, _, text = _text(data).partition("\n")
    try:
        moment = float(text)
    except ValueError:  # LSL hands over numbers only
        moment = float("nan")
    with _folder() as folder:
        recorder = SessionRecorder(folder, classes=CLASSES, source="x", now=lambda: STARTED)
        with recorder:
            recorder.add(group(5), STARTED)
            recorder.mark(name, "lsl", moment)
        return open_session(folder)


def _live_frames() -> list[bytes]:
    from tests.web.hostile import FRAMES, JPEG
    from tests.web.served import frame

    return [frame(1, JPEG, 5.0), *(one for one in FRAMES if one and len(one) < 100_000)]


def _live_requests() -> list[bytes]:
    requests: list[dict[str, Any]] = [
        {"type": "start"}, {"type": "teach", "track": 1, "label": "happy"}, {"type": "collect", "track": None},
        {"type": "drop", "number": 2}, {"type": "lesson", "label": "tired", "keep": False},
        {"type": "mark", "name": "go", "ago": 1.5}, {"type": "baseline", "track": 1},
        {"type": "record", "on": True, "min_group": 5},
    ]  # fmt: skip
    return [json.dumps(one).encode() for one in requests]


_HEADS = [
    b"GET\n/\ntoken=a-token-of-mine\nhost:localhost:8501\ncookie:moodspace_visitor=abc",
    b"GET\n/photo\n\nhost:127.0.0.1\ncookie:moodspace_token=a-token-of-mine\ncontent-length:12",
    b"PUT\n/_stcore/upload_file/a/b\n\nhost:[::1]:8501\ncontent-length:99999999999\norigin:http://localhost",
    b"POST\n/mark\nvisit=x\nauthorization:Bearer abc\nhost:example.org",
]

TARGETS: dict[str, Target] = {
    "picture": Target(picture, _pictures, share=6),
    "uploaded_picture": Target(uploaded_picture, _pictures, share=4),
    "video": Target(video, _videos, share=5),
    "uploaded_video": Target(uploaded_video, _videos, share=2),
    "csv_faces": Target(csv_faces, lambda: _table("fer2013.csv"), TEXT, 3),
    "parquet_faces": Target(parquet_faces, lambda: _table("train.parquet"), share=3),
    "faces_json": Target(faces_json, lambda: [_taught()["faces.json"]], JSON, 4),
    "faces_parquet": Target(faces_parquet, lambda: [_taught()["faces.parquet"]], share=3),
    "gallery_file": Target(gallery_file, lambda: [_taught()["gallery.sqlite"]], SQLITE, 5),
    "bundle_manifest": Target(bundle_manifest, lambda: [(_saved() / "manifest.json").read_bytes()], JSON, 4),
    "bundle_gallery": Target(bundle_gallery, lambda: [(_saved() / "gallery.npz").read_bytes()], share=1),
    "session_file": Target(session_file, lambda: [(_session() / "session.sqlite").read_bytes()], SQLITE, 5),
    "session_json": Target(session_json, _session_document, JSON, 5),
    "marks_csv": Target(marks_csv, lambda: [
        b"time,name\n1.5,go\n2.25,stop\n", b"time;name\n1,5;go\n2026-09-21T15:33:25;stop\n"
    ], TEXT, 4),
    "baseline_json": Target(baseline_json, _baseline, JSON, 4),
    "training_log": Target(training_log, lambda: [b"epoch,loss,val_accuracy\n1,0.5,0.4\n2,0.4,0.5\n"], TEXT),
    "work_file": Target(work_file, _work, SQLITE, 4),
    "destination": Target(destination, lambda: [
        b"ws://127.0.0.1:8770", b"mqtt://localhost/topic", b"osc://[::1]:9000", b"lsl:moodspace", b"a.jsonl"
    ], TEXT, 3),
    "class_names": Target(class_names, lambda: [b"happy", "müde".encode(), b"not a face"], TEXT),
    "sampling": Target(sampling, lambda: [b"5", b"0.5s", b"2s"], TEXT),
    "live_frame": Target(live_frame, _live_frames, share=5),
    "live_request": Target(live_request, _live_requests, JSON, 5),
    "mark_request": Target(mark_request, lambda: [
        b'{"name": "stimulus on"}', b'{"name": "a", "time": 1790000030.5}',
        b'{"name": "a", "time": "2026-09-21T14:13:30+00:00"}'
    ], JSON, 5),
    "http_request": Target(http_request, lambda: _HEADS, TEXT, 4),
    "lsl_event": Target(lsl_event, lambda: [b"go\n1790000000.5", b"go, 3\n1e300"], TEXT, 2),
}  # fmt: skip


def main() -> int:
    """List the targets, read files with one, or let atheris choose its inputs; return the exit status."""
    words = sys.argv[1:]
    if not words or words[0] not in TARGETS:
        print("\n".join(TARGETS))
        return 0 if not words else 2
    target, rest = TARGETS[words[0]], words[1:]
    if rest[:1] != ["--atheris"]:
        for name in rest:
            print(f"{name}: {'read' if target.fuzz_one(Path(name).read_bytes()) else 'refused'}")
        return 0
    import atheris  # not among the requirements: there are wheels for few systems

    corpus = work_folder() / "seeds"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / f"{number:03d}").write_bytes(seed)
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *rest[1:], str(corpus)], lambda data: target.fuzz_one(data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
