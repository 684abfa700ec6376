"""Changed files of every kind go through every way in: each is read or named, and nothing else happens.

`MOODSPACE_MUTANTS=2000` tries so many, `MOODSPACE_SEED` others; `python -m benchmarks faults` does it with its own.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.files.kind import Kind, file_kind
from moodspace.index.ingest.read_faces import crop_whole_picture, embed_files
from moodspace.index.ingest.teach import picture_paths, teach
from moodspace.index.taught.exchange import export_gallery
from moodspace.index.taught.gallery import open_taught
from moodspace.realtime.capture.files import FolderSource
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import Pipeline
from moodspace.realtime.predict import predict_source
from moodspace.web.components.teaching import TeachError, imported
from moodspace.web.components.videos import VideoError, analyze_video
from moodspace.web.server.decoding import UploadError, decode_picture
from moodspace.web.server.settings import Limits
from tests.fake_encoder import FakeEncoder
from tests.index.ingest.folder_sync import sync
from tests.mutants import mutated, originals, tables
from tests.realtime.fakes import FakeDetector, faces_at
from tests.web.looked_at import RECOGNIZER, recognize

COUNT = int(os.environ.get("MOODSPACE_MUTANTS", "60"))
SEED = int(os.environ.get("MOODSPACE_SEED", "12"))
ENCODER = FakeEncoder()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return mutated(originals(tmp_path_factory.mktemp("whole")), COUNT, seed=SEED)


@pytest.fixture(scope="module")
def folder(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them as the pictures of one class."""
    place = tmp_path_factory.mktemp("mutants") / "happy"
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place


def is_reason(text: str) -> bool:
    return text.startswith("expected") and "\n" not in text and "Traceback" not in text


def test_predict_reads_or_names_each(folder: Path, files: dict[str, bytes]) -> None:
    pipeline = Pipeline(FakeDetector(faces_at((10, 10, 20, 20))), RECOGNIZER)
    source = FolderSource(folder)
    documents = list(predict_source(source, pipeline))
    told = [document["source"] for document in documents]
    named = [*told, *(one.source for one in source.skipped), *source.left_out]
    assert {Path(name).name for name in named} == files.keys()
    assert [one for one in (*source.skipped, *source.incomplete) if not is_reason(one.reason)] == []
    json.dumps(documents, allow_nan=False)
    for document in documents:
        times = [frame["time"] for frame in document.get("frames", ())]
        assert times == sorted(times)
    assert len(told) > len(files) / 8


def test_no_frame_of_another_file_is_seen(folder: Path, files: dict[str, bytes]) -> None:
    """The videos hold one grey. Damage changes it, but never into the picture that other files hold."""

    def frames() -> Iterator[Frame]:
        with FolderSource(folder) as source:
            yield from source

    pictures, grey = {}, {}
    for frame in frames():
        if frame.fps is None or frame.bgr.shape[:2] != (48, 64):
            pictures.setdefault(frame.source, frame.bgr.copy())
        else:
            grey.setdefault(frame.source, []).append(frame.bgr.copy())
    assert grey and pictures
    astronaut = next(one for one in pictures.values() if one.shape == (192, 192, 3)).astype(float)
    rows = {row.astype(np.uint8).tobytes() for row in astronaut[:, :64]}
    strange = [
        name for name, shown in grey.items() for bgr in shown if {row.tobytes() for row in bgr} & rows
    ]  # fmt: skip
    assert strange == []


def test_teach_reads_or_names_each(folder: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    paths = picture_paths([folder])
    with open_taught(tmp_path / "gallery", encoder="fake", dim=ENCODER.dim) as gallery:
        report = teach(gallery, "happy", embed_files(paths, crop_whole_picture, ENCODER))
        taught = len(report.ids)
    assert {Path(path).name for path in paths} == files.keys()
    assert taught and [one for one in report.failed if not is_reason(one.reason)] == []
    assert taught + len(report.failed) + len(report.known) <= len(files)


def test_index_reads_or_names_each(folder: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    with open_taught(tmp_path / "gallery", encoder="fake", dim=ENCODER.dim) as gallery:
        report = sync(gallery, folder.parent, lambda paths: embed_files(paths, crop_whole_picture, ENCODER))
    assert report.added + len(report.duplicate) + len(report.failed) == len(files)
    assert [one for one in report.failed if not is_reason(one.reason)] == []


def test_explore_reads_or_names_each(folder: Path, files: dict[str, bytes]) -> None:
    faces = read_labelled_faces(folder.parent)
    assert len(faces) + len(faces.skipped) == len(files)
    assert all("\n" not in one.reason for one in faces.skipped)


@pytest.mark.parametrize("name", ["fer2013.csv", "train.parquet"])
def test_a_changed_table_is_read_or_refused(name: str, tmp_path: Path) -> None:
    whole, read = tables()[name], 0
    changed = mutated({name: whole}, max(8, COUNT // 5), seed=SEED)
    for number, content in enumerate([whole, *changed.values()]):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            faces = read_labelled_faces(path)
            read += bool(len(faces) + len(faces.skipped))
        except DataError as error:
            assert "\n" not in str(error)
    assert read


def test_a_changed_export_is_imported_whole_or_refused(folder: Path, tmp_path: Path) -> None:
    paths = [path for path in picture_paths([folder]) if path.endswith((".png", ".bmp", ".ppm"))]
    with open_taught(tmp_path / "first", encoder="fake", dim=ENCODER.dim) as gallery:
        teach(gallery, "happy", embed_files(paths, crop_whole_picture, ENCODER))
        export_gallery(gallery, tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    changed = mutated({"a.parquet": whole}, max(4, COUNT // 20), seed=SEED)
    came = 0
    with open_taught(tmp_path / "second", encoder="fake", dim=ENCODER.dim) as gallery:
        for content in [whole, *changed.values()]:
            try:
                came += imported(gallery, content)[0]
            except TeachError as error:
                assert is_reason(str(error)) and "moodspace-" not in str(error)
        assert came == len(gallery) > 0


def test_uploads_are_read_or_refused(files: dict[str, bytes]) -> None:
    limits = Limits()
    read = 0
    for name, content in files.items():
        try:
            assert decode_picture(content, limits).ndim == 3
            read += 1
        except UploadError as error:
            assert is_reason(str(error)), name
        if file_kind(Path(name)) is Kind.VIDEO:
            try:
                watched = analyze_video(name, content, recognize, RECOGNIZER, limits, lambda *_: None)
                assert watched.frames and (not watched.incomplete or is_reason(watched.incomplete))
                read += 1
            except VideoError as error:
                assert is_reason(str(error)) and "/" not in str(error), name
    assert read > len(files) / 8
