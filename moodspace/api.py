"""The functions of the public API. Import them from `moodspace`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.gallery import Gallery
from moodspace.model import Channels, Model, Picture, Recognition, as_bgr, bundle_path

if TYPE_CHECKING:
    from moodspace.classifier.evaluation import Evaluation
    from moodspace.embeddings.data.labelled import LabelledFaces
    from moodspace.realtime.capture.source import Frame
    from moodspace.realtime.sinks.destination import SinkOptions
    from moodspace.realtime.videos.reading import Summary as VideoSummary
    from moodspace.sessions import Session


def load(
    bundle: str | Path | None = None,
    *,
    view: str | None = None,
    prior: str | Path | Mapping[str, float] = "data",
    gallery: str | Path | None = None,
    threads: int = 2,
) -> Model:
    """Load a model.

    Args:
        bundle: A bundle's folder; the one that ships when None.
        view: The label set to predict, or "blend"; the bundle's default when None.
        prior: How common each class is where you use it: "data" as in the training faces, "balanced" for all equally,
            a number for each class, or a JSON file with these.
        gallery: Folder of the faces that you taught; when None, what you teach is forgotten with the model.
        threads: How many threads the encoder may use.

    Raises:
        MoodspaceError: The bundle or the gallery is missing, damaged, or they do not fit each other; or the prior does
            not have a number > 0 for each class.
        ValueError: The bundle has no such view.

    Examples:
        >>> import moodspace as ms
        >>> model = ms.load()
        >>> "happy" in model.classes_
        True
    """
    loaded = load_bundle(bundle_path(bundle), threads=threads)
    taught = None if gallery is None else Gallery(gallery, bundle=loaded)
    return Model(loaded, view=view, prior=prior, gallery=taught)


@lru_cache(maxsize=1)
def _default_model() -> Model:
    return load()


def read(picture: Picture, *, channels: Channels | None = None) -> ByteArray:
    """Read a picture, upright and in color.

    Args:
        picture: A file in any format that Pillow reads, its bytes, or an array `(h, w)` or `(h, w, 3)` uint8.
        channels: Order of a color array's channels, "rgb" or "bgr".

    Returns:
        `(h, w, 3)` uint8 in [0, 255], RGB.

    Raises:
        MoodspaceError: The file cannot be read.
    """
    return np.ascontiguousarray(as_bgr(picture, channels)[..., ::-1])


def read_video(path: str | Path) -> Iterator[tuple[float, ByteArray]]:
    """Read the frames of a video.

    Args:
        path: A video file.

    Yields:
        The time of each frame in seconds, and its pixels, `(h, w, 3)` uint8 RGB, upright.

    Raises:
        MoodspaceError: The file cannot be read, or ends early.
    """
    from moodspace.realtime.capture.files import open_source

    with open_source(str(path)) as source:
        for frame in source:
            yield frame.time, np.ascontiguousarray(frame.bgr[..., ::-1])


def recognize(picture: Picture, *, channels: Channels | None = None, model: Model | None = None) -> Recognition:
    """Find the faces of a picture and recognize what they show.

    Args:
        picture: A file, its bytes, or an array `(h, w)` grey or `(h, w, 3)` uint8 in [0, 255].
        channels: Order of a color array's channels, "rgb" or "bgr".
        model: The model; the one that ships when None, loaded once.

    Examples:
        >>> import moodspace as ms
        >>> from moodspace.realtime.demo import picture_path
        >>> [face.expression for face in ms.recognize(picture_path())]
        ['happy']
    """
    return (model or _default_model()).recognize(picture, channels=channels)


def recognize_video(path: str | Path, *, every: int | str = 1, model: Model | None = None) -> Iterator[Recognition]:
    """Recognize the faces in the frames of a video.

    Args:
        path: A video file.
        every: Look at each `every`-th frame, or with "0.5s" at one each half second.
        model: The model; the one that ships when None, loaded once.

    Yields:
        One recognition a frame, with its `time` in seconds.
    """
    yield from (model or _default_model()).recognize_video(path, every=every)


def recognize_videos(
    videos: Sequence[str | Path],
    out: str | Path,
    *,
    every: int | str = 1,
    workers: int = 0,
    restart: bool = False,
    model: Model | None = None,
) -> "list[VideoSummary]":
    """Recognize the faces of many videos into a table with one row a face and frame; see `Model.recognize_videos`.

    Args:
        videos: Videos, pictures, and folders of them.
        out: The table, `.csv` or `.parquet`; a summary and a manifest are written beside it.
        every: Look at each `every`-th frame, or with "0.5s" at one each half second.
        workers: How many processes read videos; 0 for this one.
        restart: Whether to read all videos again, the finished ones too.
        model: The model; the one that ships when None, loaded once.

    Returns:
        What each video showed.
    """
    used = model or _default_model()
    return used.recognize_videos(videos, out, every=every, workers=workers, restart=restart)


def live(
    source: str | Path | int = 0,
    *,
    to: str | Sequence[str] = (),
    sending: "SinkOptions | None" = None,
    model: Model | None = None,
    half_life: float = 0.5,
    on_event: Callable[[str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Recognize live, without a window: yield the document of each frame, and send it to other programs.

    From a camera or a stream, always take the newest frame; of a file, take every frame as fast as possible.

    Args:
        source: A camera's number, a file, an address or a folder.
        to: Where to send, as after `moodspace live --to`, such as "ws://127.0.0.1:8770" or "values.parquet".
        sending: What is sent, and how it is protected; by default what groups of at least 5 faces show.
        model: The model; the one that ships when None, loaded once.
        half_life: Smoothing half-life in seconds.
        on_event: Called with one-line messages, in any thread: a camera or a receiver is lost or back.

    Yields:
        A document as `schema.json` describes it, with single faces: it does not leave this program. End the loop, or
        close the generator, to finish files and disconnect receivers.

    Raises:
        MoodspaceError: The source gives no frames, or a destination cannot be used.
        ValueError: A destination is unknown or not protected.
    """
    from moodspace.realtime.capture.files import open_source
    from moodspace.realtime.capture.newest import NewestFrames
    from moodspace.realtime.documents import live_document
    from moodspace.realtime.sinks.hub import Sinks
    from moodspace.realtime.window.background import recognize as process

    used, tell = model or _default_model(), on_event or (lambda event: None)
    pipeline = used.live(half_life=half_life)
    destinations = [to] if isinstance(to, str) else list(to)
    with Sinks(destinations, sending, classes=used.classes_, on_event=tell) as sinks, ExitStack() as stack:
        opened = open_source(str(source), on_event=tell)
        frames: Iterable[Frame] = (
            stack.enter_context(NewestFrames(opened)) if opened.live else stack.enter_context(opened)
        )
        for frame in frames:
            result = process(pipeline, frame)
            sinks.add(frame, result)
            yield live_document(frame, result, min_group=sinks.min_group)


def evaluate(
    data: "str | Path | LabelledFaces", *, model: Model | None = None, split: str | None = None
) -> "Evaluation":
    """Score a model on labelled faces that it was neither trained nor indexed on.

    Args:
        data: A folder with a folder a class, `fer2013.csv`, a parquet file, or faces that were read already.
        model: The model; the one that ships when None.
        split: The split to read, where the data have several.

    Returns:
        Accuracy, macro-F1, ECE and more of head, neighbors' votes and ensemble; `to_json()` gives plain values.
    """
    from moodspace.classifier.evaluation import evaluate as score
    from moodspace.embeddings.data.readers import read_labelled_faces

    used = model or _default_model()
    faces = read_labelled_faces(Path(data), split=split) if isinstance(data, str | Path) else data
    return score(used.bundle, faces, used.view, prior=used.recognizer.prior)


def train(
    data: str | Path,
    out: str | Path,
    *,
    validation: str | Path | None = None,
    split: str | None = None,
    validation_split: str | float | None = None,
    everyday: str | Path | None = None,
    labels: Sequence[str] = (),
    resume: bool = False,
    **recipe: Any,
) -> dict[str, Any]:
    """Train a network on labelled faces, then index, calibrate and export it into a bundle.

    Args:
        data: A folder with a folder a class, `fer2013.csv`, or a parquet file.
        out: The bundle's folder.
        validation: Labelled faces to validate on; a split or a part of `data` when None.
        split: The split of `data` to train on; "train" or the only one when None.
        validation_split: The split to validate on, or a share in (0, 1) of the training faces to hold out.
        everyday: Labelled faces of everyday life to fit the default view to; never learned.
        labels: Label sets to learn; all when empty.
        resume: Go on with an interrupted training.
        recipe: Fields of `moodspace.embeddings.training.recipe.Recipe`, such as `arch="cnn"`, `epochs=30`, `seed=1`.

    Returns:
        For each label set the scores on the validation faces, cross-fitted.

    Raises:
        MoodspaceError: The data or the recipe cannot be used.
        ImportError: Training needs the extra: `pip install 'moodspace[train]'`.
    """
    from moodspace.classifier.bundle.splits import read_training_faces
    from moodspace.classifier.bundle.train import train_bundle
    from moodspace.embeddings.data.readers import read_labelled_faces
    from moodspace.embeddings.training.backend import prepare_keras
    from moodspace.embeddings.training.recipe import recipe_for

    chosen = recipe_for(**recipe)
    prepare_keras()
    read = read_training_faces(
        Path(data), Path(validation) if validation is not None else None, split=split,
        validation_split=validation_split, seed=chosen.seed,
    )  # fmt: skip
    faces = None if everyday is None else read_labelled_faces(Path(everyday))
    return train_bundle(Path(out), read.train, read.validation, chosen, labels=labels, resume=resume, everyday=faces)


def open_session(path: str | Path, *, marks: str | Path | None = None) -> "Session":
    """Read a session that `moodspace live --record` recorded.

    Args:
        path: The session's folder.
        marks: A table of further events, CSV with the columns `time` (seconds since the session began, or date and
            time) and `name`.

    Raises:
        MoodspaceError: There is no session, or it cannot be read.
        ValueError: The table cannot be used; says in which line.

    Examples:
        >>> import moodspace as ms
        >>> session = ms.open_session("sessions/2026-11-23_101500")  # doctest: +SKIP
        >>> session.epochs(-2, 5).to_pandas()  # doctest: +SKIP
    """
    from moodspace.realtime.session.marks import with_marks
    from moodspace.realtime.session.reading import open_session as read_session

    session = read_session(Path(path))
    return session if marks is None else with_marks(session, Path(marks))
