"""Pictures, folders and videos in, one document for each out."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from realtime.annotate import Annotator
from realtime.documents import face_documents, frame_document
from realtime.pipeline import Process
from realtime.sources import Frame, Source, SourceError


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

    Raises:
        SourceError: the source is a camera or a stream, which have no end, or nothing in it can be read.
        OutputError: a copy cannot be written.
    """
    if source.live:
        raise SourceError("expected pictures or videos, received a camera or a stream, which has no end; watch it live")
    with source, ExitStack() as outputs:
        annotator = outputs.enter_context(Annotator(annotate, source.root)) if annotate else None
        for name, frames in groupby(source, key=lambda frame: frame.source):
            document = _document(name, frames, pictures, videos or pictures, annotator)
            missing = [one.reason for one in source.incomplete if one.source == name]
            yield document | {"incomplete": missing[0]} if missing else document


def _document(
    name: str, frames: Iterator[Frame], pictures: Process, videos: Process, annotator: Annotator | None
) -> dict[str, Any]:
    documents: list[dict[str, Any]] = []
    for frame in frames:
        pipeline = pictures if frame.fps is None else videos
        result = pipeline.process(frame.bgr, frame.time)
        if annotator is not None:
            annotator.add(frame, result)
        if frame.fps is None:
            return {"source": name, "faces": face_documents(result, pipeline.recognizer)}
        document = frame_document(frame, result, pipeline.recognizer)
        documents.append({"time": document["time"], "faces": document["faces"]})
    return {"source": name, "frames": documents}
