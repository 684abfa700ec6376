"""Documents have what was promised, one for each file, whatever the files are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.documents import EVIDENCE, face_documents, frame_document
from moodspace.realtime.pipeline import Pipeline, WholePicture
from moodspace.realtime.predict import predict_source
from tests.realtime.fakes import FakeDetector, ListSource, clip_frames, noise


def test_a_face_is_described_in_full(pipeline: Pipeline, recognizer: Recognizer) -> None:
    result = pipeline.process(noise(), 0.0)
    first, second = face_documents(result, recognizer)
    assert list(first) == ["xywh", "expression", "confidence", "probabilities", "unknown", "neighbors", "quality"]
    assert (first["xywh"], second["xywh"]) == ([10, 20, 40, 50], [60, 15, 30, 40])
    assert tuple(first["probabilities"]) == recognizer.classes
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert first["confidence"] == max(first["probabilities"].values()) == first["probabilities"][first["expression"]]
    assert first["unknown"] is bool(result.prediction.unknown[0])


def test_neighbours_are_evidence_from_the_gallery(pipeline: Pipeline, recognizer: Recognizer) -> None:
    gallery = recognizer.bundle.index.gallery
    for face in face_documents(pipeline.process(noise(), 0.0), recognizer):
        assert len(face["neighbors"]) == EVIDENCE
        similarities = [neighbor["similarity"] for neighbor in face["neighbors"]]
        assert similarities == sorted(similarities, reverse=True)
        for neighbor in face["neighbors"]:
            (row,) = np.flatnonzero(gallery.ids == neighbor["id"])
            assert neighbor["label"] == recognizer.classes[gallery.labels["fer2013"][row]]
            assert neighbor["source"] == gallery.sources[row]


def test_documents_are_plain_json(pipeline: Pipeline, recognizer: Recognizer) -> None:
    frame = clip_frames(3)[2]
    document = frame_document(frame, pipeline.process(frame.bgr, frame.time), recognizer)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["source"], document["time"], len(document["faces"])) == ("clip.mp4", 0.2, 2)


def test_a_picture_without_faces_has_none(recognizer: Recognizer, make_picture: Callable[..., Path]) -> None:
    path = make_picture()
    pipeline = Pipeline(FakeDetector(Faces.empty()), recognizer)
    assert list(predict_source(open_source(str(path)), pipeline)) == [{"source": str(path), "faces": []}]


def test_each_file_of_a_folder_is_a_document(
    pipeline: Pipeline, make_picture: Callable[..., Path], make_clip: Callable[..., Path]
) -> None:
    picture, clip = make_picture("in/b.png"), make_clip("in/a.avi", frames=3, fps=10)
    (picture.parent / "c.png").write_bytes(b"no picture")
    source = open_source(str(picture.parent))
    first, second = predict_source(source, pipeline)
    assert (first["source"], [frame["time"] for frame in first["frames"]]) == (str(clip), [0.0, 0.1, 0.2])
    assert all(len(frame["faces"]) == 2 for frame in first["frames"])
    assert (second["source"], len(second["faces"])) == (str(picture), 2)
    assert [skipped.source for skipped in source.skipped] == [str(picture.with_name("c.png"))]


def test_videos_may_have_a_pipeline_of_their_own(
    told: FakeDetector, recognizer: Recognizer, make_picture: Callable[..., Path], make_clip: Callable[..., Path]
) -> None:
    root = make_picture("in/b.png").parent
    make_clip("in/a.avi", frames=3)
    blind = Pipeline(FakeDetector(Faces.empty()), recognizer)
    clip, picture = predict_source(open_source(str(root)), Pipeline(told, recognizer), blind)
    assert [len(frame["faces"]) for frame in clip["frames"]] == [0, 0, 0]
    assert len(picture["faces"]) == 2


def test_crops_are_predicted_whole(recognizer: Recognizer, make_picture: Callable[..., Path]) -> None:
    (document,) = predict_source(open_source(str(make_picture())), WholePicture(recognizer))
    assert [face["xywh"] for face in document["faces"]] == [[0, 0, 80, 60]]


def test_annotated_copies_are_written(
    pipeline: Pipeline, make_picture: Callable[..., Path], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_picture("in/x/a.png").parent.parent
    make_picture("in/a.png")
    make_clip("in/a.avi")
    list(predict_source(open_source(str(root)), pipeline, annotate=tmp_path / "out"))
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["a.mp4", "a.png", "x/a.png"]


def test_the_source_is_closed_even_when_the_reader_stops(pipeline: Pipeline) -> None:
    source = ListSource([*clip_frames(2, "a"), *clip_frames(2, "b")])
    documents = predict_source(source, pipeline)
    assert next(documents)["source"] == "a"
    assert not source.closed
    documents.close()  # type: ignore[attr-defined]
    assert source.closed


def test_a_camera_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(SourceError, match="expected pictures or videos, got a camera"):
        next(predict_source(ListSource([], live=True), pipeline))
