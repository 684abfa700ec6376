"""Predict the faces of pictures, folders and videos, one document per file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from moodspace.classifier.baseline import RefusedBaselineError
from moodspace.embeddings.data.labelled import Skipped
from moodspace.realtime.baseline_sources import FileBaseline
from moodspace.realtime.capture.source import Frame, Source, SourceError
from moodspace.realtime.documents import face_documents, frame_document
from moodspace.realtime.drawing.annotate import Annotator
from moodspace.realtime.drawing.video import OutputError
from moodspace.realtime.pipeline import FrameResult, Process


def predict_source(
    source: Source,
    pictures: Process,
    videos: Process | None = None,
    *,
    annotate: Path | None = None,
    baseline: FileBaseline | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict the expressions in pictures and videos.

    Args:
        source: Pictures or videos. It is closed after the last document; its `skipped` then lists the files that could
            not be read, and its `incomplete` also the annotated copies that could not be written.
        pictures: A `Pipeline` with a detector for pictures, or `WholePicture` if each picture is one face.
        videos: A `Pipeline` with a faster detector, for the frames of videos; None uses `pictures`.
        annotate: The folder for annotated copies; None writes none.
        baseline: The resting face of the person whose files these are. A video without one is skipped.

    Yields:
        For a picture `{"source": ..., "faces": [...]}`, for a video `{"source": ..., "frames": [{"time": ...,
        "faces": [...]}, ...]}` with the time in seconds; see `face_documents` for the faces. A truncated or damaged
        video also has `"incomplete"`, which says how much was read.

    Raises:
        SourceError: The source is a camera or a stream, or nothing in it can be read.
    """
    if source.live:
        raise SourceError("expected pictures or videos, got a camera or a stream, which has no end; use `live`")
    with source, ExitStack() as outputs:
        annotator = outputs.enter_context(Annotator(annotate, source.root)) if annotate else None
        for name, frames in groupby(source, key=lambda frame: frame.source):
            copy = _Copy(annotator, source, name)
            try:
                document = _document(name, frames, pictures, videos or pictures, copy, baseline)
            except RefusedBaselineError as error:
                source.skipped.append(Skipped(name, str(error)))
                continue
            missing = [one.reason for one in source.incomplete if one.source == name]
            yield document | {"incomplete": missing[0]} if missing else document


def _document(
    name: str,
    frames: Iterator[Frame],
    pictures: Process,
    videos: Process,
    copy: "_Copy",
    baseline: FileBaseline | None,
) -> dict[str, Any]:
    documents: list[dict[str, Any]] = []
    for frame in frames:
        pipeline = pictures if frame.fps is None else videos
        if baseline is not None and not documents:
            baseline.begin(name, pipeline, video=frame.fps is not None)
        result = pipeline.process(frame.bgr, frame.time)
        copy.add(frame, result)
        if frame.fps is None:
            return {"source": name, "faces": face_documents(result, pipeline.recognizer)}
        document = frame_document(frame, result, pipeline.recognizer)
        documents.append({"time": document["time"], "faces": document["faces"]})
    copy.end()
    return {"source": name, "frames": documents}


class _Copy:
    """The annotated copy of one picture or video. If it cannot be written, the source's `incomplete` says so."""

    def __init__(self, annotator: Annotator | None, source: Source, name: str) -> None:
        self._annotator, self._source, self._name = annotator, source, name

    def add(self, frame: Frame, result: FrameResult) -> None:
        if self._annotator is not None:
            with self._noting_failure():
                self._annotator.add(frame, result)

    def end(self) -> None:
        if self._annotator is not None:
            with self._noting_failure():
                self._annotator.end()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            self._annotator = None
            self._source.incomplete.append(Skipped(self._name, f"no annotated copy: {error}"))
