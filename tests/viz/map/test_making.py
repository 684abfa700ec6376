"""Tests of making and writing the map of a bundle."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labelled import LabelledFaces, merge
from moodspace.index.search import GalleryIndex
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.explore.data import DataParts
from moodspace.viz.map import making as map_making
from moodspace.viz.map.faces import TaughtOnMap
from moodspace.viz.map.layout import Layout
from moodspace.viz.map.making import GalleryMap, make_map, write_map
from moodspace.viz.map.page import write_page
from moodspace.viz.map.projector import write_projector
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

KNOWN = drawn_faces(70, seed=0, votes=True)
NEW = replace(drawn_faces(14, seed=1, votes=True), sources=tuple(f"new/{i}.png" for i in range(14)))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(KNOWN))


def layout_of(recognizer: Recognizer) -> Layout:
    n = len(recognizer.bundle.index)
    return Layout(np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32), 0, fresh=False)


def taught(recognizer: Recognizer, labels: Sequence[str], pictures: int = 0) -> TaughtOnMap:
    n = len(labels)
    faces = drawn_faces(max(n, 1), seed=2).take(slice(n))
    rows = recognizer.bundle.encoder.encode(faces.crops).embeddings.astype(np.float16).astype(np.float32)
    ids = 1_000_000_000 + np.arange(n)
    names = tuple(f"/pictures/{i}.png" for i in range(n))
    known = TaughtFaces(ids, rows, tuple(labels), names, ("",) * n, np.zeros(n), np.zeros(n, np.int64))
    picture = np.where(np.arange(n) < pictures, np.arange(n), -1)
    return TaughtOnMap(known, faces.crops[:pictures], picture)


def as_data(faces: LabelledFaces, name: str = "validation") -> DataParts:
    return DataParts(faces, np.zeros(len(faces), np.int64), (name,))


def made(recognizer: Recognizer, mine: TaughtOnMap | None = None, data: DataParts | None = None) -> GalleryMap:
    return make_map(recognizer, layout_of(recognizer), taught=mine, data=data)


def test_the_bundles_faces_stand_where_they_are_laid_out(recognizer: Recognizer) -> None:
    face_map = made(recognizer).face_map
    assert np.array_equal(face_map.coordinates, layout_of(recognizer).coordinates)
    assert np.array_equal(face_map.labels, recognizer.gallery_labels)
    assert set(face_map.origin) == {"gallery"} and set(face_map.splits) == {""}
    assert (face_map.picture == -1).all()


def test_nothing_moves_when_others_join(recognizer: Recognizer) -> None:
    joined = made(recognizer, taught(recognizer, ["happy", "confused"]), as_data(NEW)).face_map
    alone = made(recognizer).face_map
    assert np.array_equal(joined.coordinates[: len(alone)], alone.coordinates)
    assert len(joined) == len(alone) + 2 + 14
    assert joined.origin.tolist() == ["gallery"] * 70 + ["taught"] * 2 + ["data"] * 14
    assert np.isfinite(joined.coordinates).all()


def test_a_copy_of_a_face_stands_beside_it(recognizer: Recognizer) -> None:
    copied = replace(KNOWN.take(np.array([17])), sources=("elsewhere.png",))
    face_map = made(recognizer, data=as_data(copied)).face_map
    far = np.linalg.norm(face_map.coordinates[:70] - face_map.coordinates[70], axis=1)
    assert far[17] < np.quantile(far, 0.3)
    assert face_map.neighbors[70, 0] == 17
    assert face_map.neighbors[17, 0] == 70


def test_no_face_finds_itself_or_speaks_for_itself(recognizer: Recognizer) -> None:
    face_map = made(recognizer).face_map
    assert not (face_map.neighbors == np.arange(70)[:, None]).any()
    # Its one look-alike says happy; its own label may not count.
    rows = recognizer.bundle.index.gallery.embeddings
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    assert face_map.neighbors[:, 0].tolist() == cosines.argmax(axis=1).tolist()


def test_a_wrong_label_among_right_ones_is_outvoted() -> None:
    bundle = fake_bundle(KNOWN)
    gallery = bundle.index.gallery
    same = replace(gallery, embeddings=np.repeat(gallery.embeddings[:1], 70, axis=0), labels={
        name: np.where(np.arange(70) == 5, 3, 4) for name in gallery.labels})  # fmt: skip
    alike = Recognizer(replace(bundle, index=GalleryIndex(same), map_coordinates=None), "fer2013")
    face_map = make_map(alike, Layout(np.zeros((70, 2), np.float32), 0, fresh=False)).face_map
    assert (face_map.predicted == 4).all()
    assert face_map.labels[5] == 3
    assert "All faces have the same place" in face_map.note


def test_a_user_class_is_the_last_and_the_expression_keeps_its_column(recognizer: Recognizer) -> None:
    face_map = made(recognizer, taught(recognizer, ["happy", "confused", "happy"])).face_map
    assert face_map.classes == (*recognizer.classes, "confused")
    happy = recognizer.classes.index("happy")
    assert face_map.labels[70:].tolist() == [happy, len(recognizer.classes), happy]
    assert face_map.ids[70:].tolist() == [1_000_000_000, 1_000_000_001, 1_000_000_002]
    assert (face_map.predicted[70:] >= 0).all()


def test_new_data_are_predicted_by_all_that_the_bundle_knows(recognizer: Recognizer) -> None:
    face_map = made(recognizer, data=as_data(NEW)).face_map
    prediction = recognizer.predict(NEW.crops)
    assert face_map.predicted[70:].tolist() == prediction.labels.tolist()
    assert face_map.confidence[70:] == pytest.approx(prediction.confidence, abs=1e-6)
    assert set(face_map.splits[70:]) == {"validation"}
    assert face_map.ids[70:].tolist() == list(range(70, 84))
    assert np.array_equal(face_map.crops[face_map.picture[70:]], NEW.crops)


def test_data_that_the_bundle_has_already_give_their_pictures_and_splits(recognizer: Recognizer) -> None:
    half = KNOWN.take(slice(10, 30))
    face_map = made(
        recognizer, data=DataParts(merge([NEW, half]), np.repeat([0, 1], [14, 20]), ("test", "train"))
    ).face_map
    assert len(face_map) == 70 + 14
    assert np.flatnonzero(face_map.picture[:70] >= 0).tolist() == list(range(10, 30))
    assert np.array_equal(face_map.crops[face_map.picture[10:30]], half.crops)
    assert face_map.splits[9:31].tolist() == ["", *["train"] * 20, ""]
    assert set(face_map.splits[70:]) == {"test"}


def test_data_with_both_label_sets_are_labelled_as_the_gallery_is() -> None:
    blend = Recognizer(fake_bundle(KNOWN), "blend")
    copies = replace(KNOWN, sources=tuple(f"copy/{i}.png" for i in range(70)))
    face_map = made(blend, data=as_data(copies)).face_map
    assert face_map.labels[70:].tolist() == blend.gallery_labels.tolist()


def test_data_of_classes_that_the_bundle_does_not_know(recognizer: Recognizer) -> None:
    strange = replace(
        NEW.take(slice(0, 3)), classes=("confused", *NEW.classes[1:]), labels=np.array([0, 1, 0]), votes=None
    )
    face_map = made(recognizer, data=as_data(strange)).face_map
    assert [face_map.classes[label] for label in face_map.labels[70:]] == ["confused", NEW.classes[1], "confused"]


def test_pictures_of_taught_faces_come_after_those_of_data(recognizer: Recognizer) -> None:
    mine = taught(recognizer, ["happy", "sad", "fear"], pictures=2)
    face_map = made(recognizer, mine, as_data(NEW)).face_map
    assert face_map.picture[70:73].tolist() == [14, 15, -1]
    assert np.array_equal(face_map.crops[14:], mine.crops)


def test_the_caption_is_honest(recognizer: Recognizer) -> None:
    result = made(recognizer, taught(recognizer, ["happy"]), as_data(NEW))
    for part in ("UMAP", "seed 0", "trustworthiness", "in all 16 dimensions", "1 that you taught and 14 of your data"):
        assert part in result.caption
    assert "learned from the gallery's faces" in result.face_map.note
    assert "learned from" not in result.caption


@pytest.mark.parametrize("n", [0, 1, 3, 14])
def test_few_faces(n: int, tmp_path: Path) -> None:
    bundle = fake_bundle(KNOWN)
    few = GalleryIndex(bundle.index.gallery.take(np.arange(n)))
    recognizer = Recognizer(replace(bundle, index=few, map_coordinates=None))
    result = make_map(recognizer, layout_of(recognizer), taught=taught(recognizer, ["happy"]), data=as_data(NEW))
    assert len(result.face_map) == (n + 15 if n else 0)
    assert ("empty" in result.caption) == (n == 0)
    assert len(write_map(result, tmp_path)) >= 5


def test_one_class_only(tmp_path: Path) -> None:
    happy = KNOWN.take(KNOWN.labels == KNOWN.classes.index("happy"))
    bundle = fake_bundle(KNOWN)
    rows = np.flatnonzero(KNOWN.labels == KNOWN.classes.index("happy"))
    one = Recognizer(replace(bundle, index=GalleryIndex(bundle.index.gallery.take(rows)), map_coordinates=None))
    result = make_map(one, layout_of(one))
    assert len(result.face_map) == len(happy)
    assert (result.face_map.predicted == result.face_map.labels).all()
    write_map(result, tmp_path)


def test_the_same_map_gives_the_same_files(recognizer: Recognizer, tmp_path: Path) -> None:
    mine = taught(recognizer, ["happy", "confused"], pictures=1)
    for name in ("one", "two"):
        write_map(made(recognizer, mine, as_data(NEW)), tmp_path / name, dark=True)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert [str(path) for path in files if path.parent == Path()] == ["map-dark.png", "map.html", "map.png"]
    assert len(files) == 7
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize("stopped", [write_page, write_projector])
def test_an_interrupt_leaves_what_was_there(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: Callable[..., None]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "map.png").write_bytes(b"the old one")
    monkeypatch.setattr(map_making, stopped.__name__, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_map(made(recognizer), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    assert (tmp_path / "map.png").read_bytes() == b"the old one"
