"""A model that recognizes expressions: a bundle, one of its views, and the faces that you taught it."""

import math
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from moodspace.arrays import ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.bundles import shipped_bundle
from moodspace.classifier.baseline import Baseline, load_baseline, measure_baseline, rest_of
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.ensemble import Prediction
from moodspace.classifier.priors import check_prior, read_prior
from moodspace.classifier.recognizer import Recognizer, Shift
from moodspace.embeddings.crops import SIZE, crop_faces
from moodspace.embeddings.detection.detectors import PICTURE_SIZES, Detector, open_detector
from moodspace.embeddings.encoder import Encoded, encode_all
from moodspace.errors import MoodspaceError
from moodspace.gallery import Gallery
from moodspace.index.taught.search import TaughtIndex

if TYPE_CHECKING:
    import pandas as pd

    from moodspace.classifier.separation import Separation
    from moodspace.realtime.pipeline import LivePipeline, Pipeline
    from moodspace.realtime.videos.reading import Summary as VideoSummary

Channels = Literal["rgb", "bgr"]
Picture = str | Path | bytes | ByteArray


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A labelled face of the gallery that is close to a recognized one.

    Attributes:
        id: Its number in the gallery.
        label: The expression it is labelled with; None where it has no label in this view.
        similarity: Cosine similarity of the embeddings, in [-1, 1].
        source: Where the face came from.
    """

    id: int
    label: str | None
    similarity: float
    source: str


@dataclass(frozen=True, slots=True)
class Face:
    """A recognized face.

    Attributes:
        xywh: Left, top, width and height of its box in pixels.
        expression: The most probable class.
        confidence: Its calibrated probability, in [0, 1].
        probabilities: The probability of each class; they sum to 1.
        unknown: Whether the confidence is too low, or the face too hard to read, to tell.
        neighbors: The most similar labelled faces, best first.
        quality: `size` in pixels, `sharpness`, `yaw` in degrees, whether that is `good` enough to be read, and the
            `reason` if not; None if it was not assessed.
        baseline: Whether a resting face shifts the probabilities.
    """

    xywh: tuple[float, float, float, float]
    expression: str
    confidence: float
    probabilities: dict[str, float]
    unknown: bool
    neighbors: tuple[Neighbor, ...]
    quality: dict[str, Any] | None = None
    baseline: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the face as plain values, ready for `json.dumps`.

        There is no `quality` if it was not assessed, and no `baseline` if there is none.
        """
        values = asdict(self) | {"xywh": list(self.xywh), "neighbors": [asdict(one) for one in self.neighbors]}
        if self.quality is None:
            del values["quality"]
        if not self.baseline:
            del values["baseline"]
        return values


@dataclass(frozen=True, slots=True)
class Recognition:
    """The faces of one picture or video frame; a sequence of `Face`.

    Attributes:
        faces: The faces, most confident detection first.
        source: The file, or "" for an array.
        time: Seconds since the first frame of a video; None for a picture.
    """

    faces: tuple[Face, ...]
    source: str = ""
    time: float | None = None

    def __iter__(self) -> Iterator[Face]:
        return iter(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, row: int) -> Face:
        return self.faces[row]

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `moodspace predict --json` prints: `source`, `faces`, and `time` for a frame."""
        document: dict[str, Any] = {"source": self.source, "faces": [face.to_dict() for face in self.faces]}
        return document if self.time is None else document | {"time": self.time}

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row a face: `source`, `time`, box, `expression`, `confidence`, `unknown`, and each class.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "source": self.source,
                "time": self.time,
                **dict(zip(("left", "top", "width", "height"), face.xywh, strict=True)),
                "expression": face.expression,
                "confidence": face.confidence,
                "unknown": face.unknown,
                **face.probabilities,
            }
            for face in self.faces
        )


class Encoder:
    """The network of a bundle: from face crops to embeddings and logits.

    Args:
        bundle: A bundle's folder; the one that ships when None.
        threads: How many threads one call may use.

    Raises:
        MoodspaceError: The folder is no usable bundle.
    """

    def __init__(self, bundle: str | Path | None = None, *, threads: int = 2) -> None:
        self._bundle = load_bundle(bundle_path(bundle), threads=threads)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._bundle.encoder.dim

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """For each label set its class names, in the order of the logits' columns."""
        return dict(self._bundle.encoder.classes)

    def encode(self, crops: ByteArray, *, batch_size: int = 64) -> Encoded:
        """Encode face crops.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255]; `n = 0` is legal.
            batch_size: How many faces to encode at a time.

        Returns:
            `embeddings`, `(n, dim)` float32 unit rows, and `logits`, for each label set `(n, C)` float32.
        """
        return _encode(self._bundle, check_crops(crops), batch_size)


class Model:
    """Recognizes expressions with a bundle, and learns new ones by example. Made by `moodspace.load`.

    The methods on face crops follow scikit-learn: `predict`, `predict_proba`, `kneighbors`, `partial_fit`, `classes_`.

    Args:
        bundle: The bundle.
        view: The label set to predict, or "blend"; the bundle's default when None.
        prior: How common each class is, see `moodspace.load`.
        gallery: The faces that you taught; None for a temporary gallery that is deleted with the model.

    Attributes:
        bundle: The bundle, with its encoder, gallery and calibrations.
        view: The label set that is predicted.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        view: str | None = None,
        prior: str | Path | Mapping[str, float] = "data",
        gallery: Gallery | None = None,
    ) -> None:
        self.bundle = bundle
        self._stack = ExitStack()
        weakref.finalize(self, self._stack.close)
        self._gallery = gallery
        classes = bundle.views.get(view or bundle.default_labels, ())
        known = view is None or view in bundle.views  # otherwise the recognizer says what is wrong
        wanted = _prior(prior, classes) if known else None
        self.recognizer = Recognizer(bundle, view, _Taught(self), prior=wanted)
        self.view = self.recognizer.label_set
        self._detectors: dict[bool, Detector] = {}

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the gallery; a temporary one is deleted."""
        self._stack.close()
        self._gallery = None

    def __repr__(self) -> str:
        return f"Model(bundle={str(self.bundle.path)!r}, view={self.view!r}, classes={len(self.classes_)})"

    @property
    def classes_(self) -> "np.ndarray[Any, np.dtype[np.str_]]":
        """Class names in the order of the columns of `predict_proba`: the view's, then those that you taught."""
        return np.array(self._predict(np.zeros((0, SIZE, SIZE), np.uint8)).classes)

    @property
    def gallery(self) -> Gallery:
        """The gallery of taught faces."""
        if self._gallery is None:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="moodspace-"))
            self._gallery = self._stack.enter_context(Gallery(Path(folder) / "gallery", bundle=self.bundle))
        return self._gallery

    def predict(self, crops: ByteArray, *, baseline: Baseline | None = None) -> "np.ndarray[Any, np.dtype[np.str_]]":
        """Predict the expression of face crops.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255]; see `crops`, which cuts them out of a picture.
            baseline: The resting face of the person on all of them; see `baseline`.

        Returns:
            `(n,)` class names.
        """
        prediction = self._predict(check_crops(crops), baseline)
        return np.array(prediction.classes)[prediction.labels]

    def predict_proba(self, crops: ByteArray, *, baseline: Baseline | None = None) -> FloatArray:
        """Predict the calibrated probability of each class.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255].
            baseline: The resting face of the person on all of them; see `baseline`.

        Returns:
            `(n, C)` float32, rows sum to 1, columns in the order of `classes_`.
        """
        return self._predict(check_crops(crops), baseline).proba

    def baseline(self, faces: ByteArray | Sequence[Picture] | str | Path, *, seconds: float | None = None) -> Baseline:
        """Measure one person's resting face, to take it as zero in later predictions.

        Args:
            faces: Crops `(n, 48, 48)` uint8 grey; pictures, in each of which the largest face counts; or the path of a
                picture, a video, or a folder of them. All show the same person, relaxed.
            seconds: Use a video up to this time only.

        Raises:
            MoodspaceError: The faces cannot be read, or do not show one person at rest.
        """
        if isinstance(faces, str | Path):
            from moodspace.realtime.baseline_sources import measure_file

            return measure_file(str(faces), *self._pipelines(), seconds=seconds)
        if isinstance(faces, np.ndarray):
            crops = check_crops(faces)
        else:
            crops = np.array([self._largest_face(one) for one in faces], np.uint8).reshape(-1, SIZE, SIZE)
        return measure_baseline(self.recognizer, _encode(self.bundle, crops, 64), least=1)

    def embed(self, crops: ByteArray, *, batch_size: int = 64) -> FloatArray:
        """Return the embeddings of face crops: `(n, d)` float32, rows of unit length.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255].
            batch_size: How many faces to encode at a time.
        """
        return _encode(self.bundle, check_crops(crops), batch_size).embeddings

    def kneighbors(self, crops: ByteArray, n_neighbors: int = 5) -> tuple[FloatArray, IntArray]:
        """Find the most similar faces of the bundle's gallery.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255].
            n_neighbors: How many faces to find for each crop.

        Returns:
            Cosine similarities `(n, k)` float32, best first, and gallery ids `(n, k)` int64, -1 where there are fewer
            than `k` faces.
        """
        found = self.bundle.index.search(self.embed(crops), n_neighbors)
        return found.similarities, found.ids

    def crops(self, picture: Picture, *, channels: Channels | None = None) -> ByteArray:
        """Find the faces of a picture and cut them out.

        Args:
            picture: A file, its bytes, or an array `(h, w)` grey or `(h, w, 3)` uint8 in [0, 255].
            channels: Order of an array's three channels; required for an array, not allowed otherwise.

        Returns:
            `(n, 48, 48)` uint8 grey crops, the most confident detection first.
        """
        bgr = as_bgr(picture, channels)
        return crop_faces(bgr, self._detector(picture=True).detect(bgr).landmarks, self.bundle.geometry)

    def load_baseline(self, path: str | Path) -> Baseline:
        """Read a baseline that `Baseline.save` or `moodspace live --baseline-file` wrote.

        Raises:
            MoodspaceError: The file cannot be read, or was measured with another bundle.
        """
        return load_baseline(path, self.bundle)

    def recognize(
        self, picture: Picture, *, channels: Channels | None = None, baseline: Baseline | None = None
    ) -> Recognition:
        """Find the faces of a picture and recognize what they show.

        Args:
            picture: A file, its bytes, or an array `(h, w)` grey or `(h, w, 3)` uint8 in [0, 255].
            channels: Order of an array's three channels, "rgb" or "bgr"; required for an array of three channels.
            baseline: The resting face of the person on it; see `baseline`.

        Raises:
            MoodspaceError: The picture cannot be read, or the baseline is of another bundle.
        """
        pipeline, _ = self._pipelines()
        pipeline.shift = self._shift(baseline)
        result = pipeline.process(as_bgr(picture, channels), 0.0)
        source = str(picture) if isinstance(picture, str | Path) else ""
        return _recognition(result, self.recognizer, source, None)

    def recognize_video(
        self, video: str | Path, *, every: int | str = 1, baseline: Baseline | None = None
    ) -> Iterator[Recognition]:
        """Recognize the faces in the frames of a video.

        Args:
            video: A video file.
            every: Look at each `every`-th frame, or with "0.5s" at one each half second.
            baseline: The resting face of the person in it; see `baseline`.

        Yields:
            One recognition a frame, with its `time` in seconds.

        Raises:
            MoodspaceError: The file cannot be read, or `every` is neither.
        """
        from moodspace.realtime.capture.files import open_source
        from moodspace.realtime.capture.sampling import Sampling

        _, pipeline = self._pipelines()
        pipeline.shift = self._shift(baseline)
        with open_source(str(video), sampling=Sampling.parse(every)) as source:
            for frame in source:
                result = pipeline.process(frame.bgr, frame.time)
                yield _recognition(result, self.recognizer, frame.source, frame.time)

    def recognize_videos(
        self,
        videos: Sequence[str | Path],
        out: str | Path,
        *,
        every: int | str = 1,
        workers: int = 0,
        restart: bool = False,
    ) -> "list[VideoSummary]":
        """Recognize the faces of many videos into a table with one row a face and frame, as `predict --out` does.

        Faces are followed through each video. Finished videos are kept in a work file beside the table: the same call
        goes on after an interruption, and reads only what is new.

        Args:
            videos: Videos, pictures, and folders of them.
            out: The table, `.csv` or `.parquet`. Beside it, a summary with one row a video is written to
                `NAME-videos.csv` or `.parquet`, and a manifest to `NAME-manifest.json`.
            every: Look at each `every`-th frame, or with "0.5s" at one each half second.
            workers: How many processes read videos; 0 for this one. A script that starts processes needs
                `if __name__ == "__main__":`.
            restart: Whether to read all videos again, the finished ones too.

        Returns:
            What each video showed. One that could not be read has a `problem` and no `sha256`.

        Raises:
            MoodspaceError: The settings are not those of the finished videos, another program makes the same table, or
                a process fails.
            OSError: A file cannot be written.
        """
        from moodspace import __version__
        from moodspace.index.taught.frozen import FrozenGallery
        from moodspace.realtime.capture.sampling import Sampling
        from moodspace.realtime.videos.reading import VideoReader, read_settings
        from moodspace.realtime.videos.run import engine_for, recognize_videos
        from moodspace.realtime.videos.workers import read_here

        taught = self._gallery.frozen() if self._gallery is not None else None
        sampling = Sampling.parse(every)
        settings = read_settings(self.bundle.path, self.view, taught=taught, sampling=sampling)
        recognizer = Recognizer(self.bundle, self.view, FrozenGallery(taught))
        reader = VideoReader(recognizer, self._detector(picture=True), self._detector(picture=False), sampling)
        engine = engine_for(settings, workers=workers) if workers else lambda jobs: read_here(jobs, reader)
        report = recognize_videos(
            videos, Path(out), settings, classes=reader.classes, version=__version__, engine=engine, restart=restart
        )
        return report.summaries

    def teach(
        self, faces: ByteArray | Sequence[Picture], label: str | Sequence[str], *, keep_pictures: bool = False
    ) -> list[int]:
        """Teach faces as one lesson, all or none; the next prediction uses them, one `undo` takes them back.

        Args:
            faces: Crops `(n, 48, 48)` uint8 grey, or pictures, in each of which the largest face counts.
            label: The expression they show, or one for each face; a new name makes a new class.
            keep_pictures: Whether the gallery keeps the crops, for evidence and for other encoders.

        Returns:
            The ids of the taught faces, for `forget`.

        Raises:
            MoodspaceError: A picture cannot be read or shows no face, or a label is empty.
            ValueError: There is another number of labels than of faces.
        """
        if isinstance(faces, np.ndarray):
            crops = check_crops(faces)
        else:
            crops = np.array([self._largest_face(one) for one in faces], np.uint8).reshape(-1, SIZE, SIZE)
        labels = [label] * len(crops) if isinstance(label, str) else list(label)
        return self.gallery.add(self.embed(crops), labels, pictures=crops if keep_pictures else None)

    def collect(
        self, frames: Iterable[tuple[float, ByteArray]], *, start: float = 0.0, end: float = math.inf, most: int = 24
    ) -> ByteArray:
        """Collect varied examples of a held expression from a video; `teach` makes them one lesson.

        Frames whose face cannot be read and near-identical frames are skipped; the largest face is followed.

        Args:
            frames: Seconds and RGB frames `(h, w, 3)` uint8, as `moodspace.read_video` yields them.
            start, end: Seconds between which the expression is held.
            most: How many examples are enough.

        Returns:
            Crops `(n, 48, 48)` uint8 grey, `n` at most `most`, in order of time.

        Examples:
            >>> import moodspace as ms
            >>> with ms.load() as model:  # doctest: +SKIP
            ...     model.teach(model.collect(ms.read_video("me.mp4"), start=2, end=10), "skeptical")
        """
        from moodspace.realtime.collector import Collector

        pipeline, collector = self.live(), Collector.for_recognizer(self.recognizer, capacity=most)
        track: int | None = None
        for time, frame in frames:
            if time > end or collector.full:
                break
            bgr = np.ascontiguousarray(frame[..., ::-1])
            result = pipeline.process(bgr, time)
            if time < start or not len(result.track_ids):
                continue
            if track is None or track not in result.track_ids:
                track = int(result.track_ids[np.prod(result.faces.xywh[:, 2:], axis=1).argmax()])
            collector.offer_frame(bgr, result, track, self.recognizer)
        return np.array([one.crop for one in collector.examples], np.uint8).reshape(-1, SIZE, SIZE)

    def separation(self) -> "dict[str, Separation]":
        """Recognize examples of each taught class without themselves, to see which classes are confused.

        Returns:
            For each class `examples`, `tested`, `right`, `unsure`, `confused`, and `summary` in words.
        """
        from moodspace.classifier.separation import separation

        return separation(self.recognizer, self.gallery, self.gallery.labels)

    def partial_fit(self, crops: ByteArray, labels: Sequence[str]) -> "Model":
        """Teach face crops with a label for each; scikit-learn's name for `teach`.

        Args:
            crops: `(n, 48, 48)` uint8 grey in [0, 255].
            labels: n class names.
        """
        self.gallery.add(self.embed(crops), labels)
        return self

    def forget(self, label: str | None = None, *, ids: Sequence[int] = ()) -> int:
        """Forget a taught class, or taught faces by id; return how many faces were forgotten."""
        return self.gallery.remove(label, ids=ids)

    def undo(self) -> int:
        """Take back the last teaching; return how many faces were forgotten."""
        return self.gallery.undo()

    def live(
        self,
        *,
        half_life: float = 0.5,
        baseline: Baseline | None = None,
        baseline_seconds: float | None = None,
    ) -> "LivePipeline":
        """Return a pipeline for a live session: `process(frame_bgr, now)` tracks, recognizes and smooths.

        Its attribute `baselines` measures and clears the resting faces of the session.

        Args:
            half_life: Smoothing half-life in seconds.
            baseline: The resting face of the first face in view; see `baseline`.
            baseline_seconds: Measure each new face's resting face for this long, and take it as zero.
        """
        from moodspace.realtime.baselines import LiveBaselines
        from moodspace.realtime.pipeline import LivePipeline

        baselines = LiveBaselines(self.recognizer, seconds=baseline_seconds, first=baseline)
        return LivePipeline(self._detector(picture=False), self.recognizer, half_life=half_life, baselines=baselines)

    def _predict(self, crops: ByteArray, baseline: Baseline | None = None) -> Prediction:
        return self.recognizer.predict(crops, shift=self._shift(baseline))

    def _shift(self, baseline: Baseline | None) -> Shift | None:
        return None if baseline is None else rest_of(baseline, self.recognizer).shift

    def _pipelines(self) -> "tuple[Pipeline, Pipeline]":
        """Return the pipelines for pictures and for videos."""
        from moodspace.realtime.pipeline import Pipeline

        picture, video = (Pipeline(self._detector(picture=one), self.recognizer) for one in (True, False))
        return picture, video

    def _detector(self, *, picture: bool) -> Detector:
        if picture not in self._detectors:
            self._detectors[picture] = open_detector(working_sizes=PICTURE_SIZES) if picture else open_detector()
        return self._detectors[picture]

    def _largest_face(self, picture: Picture) -> ByteArray:
        bgr = as_bgr(picture, "rgb" if isinstance(picture, np.ndarray) else None)
        found = self._detector(picture=True).detect(bgr)
        if not len(found):
            name = picture if isinstance(picture, str | Path) else "picture"
            raise MoodspaceError(f"{name}: expected a face, found none; use another picture")
        largest = int(np.prod(found.xywh[:, 2:], axis=1).argmax())
        return crop_faces(bgr, found.landmarks[largest : largest + 1], self.bundle.geometry)[0]


@dataclass
class _Taught:
    """What a model was taught, for its recognizer: nothing until the gallery is first used."""

    model: Model = field(repr=False)

    def current(self) -> TaughtIndex | None:
        gallery = self.model._gallery
        return gallery.snapshot() if gallery is not None else None


def bundle_path(bundle: str | Path | None) -> Path:
    """Return the folder of a bundle; that of the one that ships when None."""
    if bundle is not None:
        return Path(bundle)
    return shipped_bundle()


def check_crops(crops: ByteArray) -> ByteArray:
    """Return the crops.

    Raises:
        ValueError: They are not `(n, 48, 48)` uint8.
    """
    array = np.asarray(crops)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"crops: expected uint8 of shape (n, {SIZE}, {SIZE}), got {array.dtype} of {array.shape}")
    return array


def as_bgr(picture: Picture, channels: Channels | None) -> ByteArray:
    """Return a picture as `(h, w, 3)` uint8 BGR.

    Args:
        picture: A file, its bytes, or an array.
        channels: Order of the channels of a color array.

    Raises:
        ValueError: The array has another type or shape, or its channel order is not given.
        MoodspaceError: The file cannot be read.
    """
    if not isinstance(picture, np.ndarray):
        if channels is not None:
            raise ValueError(f"channels: expected none for a file, got {channels!r}")
        from moodspace.embeddings.pictures import read_rgb

        try:
            return np.ascontiguousarray(read_rgb(Path(picture) if isinstance(picture, str) else picture)[..., ::-1])
        except OSError as error:
            raise MoodspaceError(f"{picture!s}: expected a picture, got: {error.strerror or error}") from error
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        wanted = "expected uint8 of shape (h, w) or (h, w, 3)"
        raise ValueError(f"picture: {wanted}, got {picture.dtype} of {picture.shape}")
    if picture.ndim == 2:
        return np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=2))
    if channels not in ("rgb", "bgr"):
        raise ValueError(f"channels: expected 'rgb' or 'bgr' for a color array, got {channels!r}")
    return np.ascontiguousarray(picture[..., ::-1] if channels == "rgb" else picture)


def _prior(prior: str | Path | Mapping[str, float], classes: tuple[str, ...]) -> DoubleArray | None:
    return check_prior(dict(prior), classes) if isinstance(prior, Mapping) else read_prior(str(prior), classes)


def _encode(bundle: Bundle, crops: ByteArray, batch_size: int) -> Encoded:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
    return encode_all(bundle.encoder, crops, batch_size=batch_size)


def _recognition(result: Any, recognizer: Recognizer, source: str, time: float | None) -> Recognition:
    from moodspace.realtime.documents import face_documents

    faces = tuple(
        Face(
            xywh=tuple(document["xywh"]),
            expression=document["expression"],
            confidence=document["confidence"],
            probabilities=document["probabilities"],
            unknown=document["unknown"],
            neighbors=tuple(Neighbor(**one) for one in document["neighbors"]),
            quality=document.get("quality"),
            baseline=document.get("baseline", False),
        )
        for document in face_documents(result, recognizer)
    )
    return Recognition(faces, source, time)


__all__ = ["Encoder", "Face", "Model", "Neighbor", "Recognition", "bundle_path"]
