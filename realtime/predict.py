"""Pictures, folders and videos in, one document for each out."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from moodspace.embeddings.data.labelled import Skipped
from moodspace.realtime.capture.source import Frame, Source, SourceError
from moodspace.realtime.documents import face_documents, frame_document
from moodspace.realtime.drawing.annotate import Annotator
from moodspace.realtime.drawing.video import OutputError
from moodspace.realtime.pipeline import FrameResult, Process


def predict_source(
    source: Source, pictures: Process, videos: Process | None = None, *, annotate: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Predicts what the faces in pictures and videos show.

    Args:
        source: Pictures or videos. It is closed when the last document was given, and its `skipped` then says what
            could not be read.
        pictures: A `Pipeline` with a detector for pictures, or `WholePicture` where each picture is one face.
        videos: A `Pipeline` with a faster detector, for the frames of videos; `pictures` when None.
        annotate: Folder for annotated copies; none are made when None.

    Yields:
        For a picture `{"source": ..., "faces": [...]}`, for a video `{"source": ..., "frames": [{"time": ...,
        "faces": [...]}, ...]}` with the time in seconds; the faces are as in `realtime.documents.face_documents`.
        A video that ends early or is damaged has `"incomplete"` besides, which says what was read.

    A copy that cannot be written is among the source's `incomplete`.

    Raises:
        SourceError: the source is a camera or a stream, which have no end, or nothing in it can be read.
    """
    if source.live:
        raise SourceError("expected pictures or videos, received a camera or a stream, which has no end; watch it live")
    with source, ExitStack() as outputs:
        annotator = outputs.enter_context(Annotator(annotate, source.root)) if annotate else None
        for name, frames in groupby(source, key=lambda frame: frame.source):
            copy = _Copy(annotator, source, name)
            document = _document(name, frames, pictures, videos or pictures, copy)
            missing = [one.reason for one in source.incomplete if one.source == name]
            yield document | {"incomplete": missing[0]} if missing else document


def _document(name: str, frames: Iterator[Frame], pictures: Process, videos: Process, copy: "_Copy") -> dict[str, Any]:
    documents: list[dict[str, Any]] = []
    for frame in frames:
        pipeline = pictures if frame.fps is None else videos
        result = pipeline.process(frame.bgr, frame.time)
        copy.add(frame, result)
        if frame.fps is None:
            return {"source": name, "faces": face_documents(result, pipeline.recognizer)}
        document = frame_document(frame, result, pipeline.recognizer)
        documents.append({"time": document["time"], "faces": document["faces"]})
    copy.end()
    return {"source": name, "frames": documents}


class _Copy:
    """The annotated copy of one picture or video; one that cannot be written is told of and keeps no other back."""

    def __init__(self, annotator: Annotator | None, source: Source, name: str) -> None:
        self._annotator, self._source, self._name = annotator, source, name

    def add(self, frame: Frame, result: FrameResult) -> None:
        if self._annotator is not None:
            with self._telling():
                self._annotator.add(frame, result)

    def end(self) -> None:
        if self._annotator is not None:
            with self._telling():
                self._annotator.end()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            self._annotator = None
            self._source.incomplete.append(Skipped(self._name, f"no annotated copy: {error}"))
