"""Taught faces win near themselves, change nothing far away, and bring classes of their own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from classifier.bundle import Bundle
from classifier.recognizer import Recognizer
from embeddings.encoder import Encoded
from embeddings.labelled import LabelledFaces
from index.taught import TaughtGallery, open_taught
from index.taught_faces import NewFaces
from index.taught_index import TaughtIndex

FIRST_TAUGHT = 1_000_000_000


class Following:
    """A provider that shows the gallery as it is."""

    def __init__(self, gallery: TaughtGallery) -> None:
        self.gallery = gallery

    def current(self) -> TaughtIndex:
        return self.gallery.snapshot()


@pytest.fixture
def gallery(tmp_path: Path, bundle: Bundle) -> Iterator[TaughtGallery]:
    with open_taught(tmp_path, encoder="fake", dim=bundle.encoder.dim) as opened:
        yield opened


def teach(gallery: TaughtGallery, encoded: Encoded, labels: Sequence[str]) -> Sequence[int]:
    nothing = [""] * len(labels)
    return gallery.add(NewFaces(encoded.embeddings, labels, ["taught"] * len(labels), nothing)).ids


@pytest.fixture
def encoded(bundle: Bundle, other_faces: LabelledFaces) -> Encoded:
    return bundle.encoder.encode(other_faces.crops)


def both(bundle: Bundle, gallery: TaughtGallery, label_set: str) -> tuple[Recognizer, Recognizer]:
    return Recognizer(bundle, label_set), Recognizer(bundle, label_set, Following(gallery))


@pytest.mark.parametrize("label_set", ["fer2013", "blend"])
def test_a_taught_face_is_what_it_was_called(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded, label_set: str
) -> None:
    plain, listening = both(bundle, gallery, label_set)
    before = plain.judge(encoded)
    wanted = before.classes[(int(before.labels[0]) + 1) % len(before.classes)]
    number = teach(gallery, encoded.take(slice(0, 1)), [wanted])[0]
    after = listening.judge(encoded)
    assert after.classes == before.classes
    assert after.classes[int(after.labels[0])] == wanted
    np.testing.assert_allclose(after.proba.sum(axis=1), 1, atol=1e-6)
    assert (after.neighbors.ids[0, 0], after.neighbors.sources[0, 0]) == (number, "taught")
    assert listening.neighbor_names(after, 0)[0] == wanted
    assert not after.unknown[0]


def test_far_from_taught_faces_nothing_changes_at_all(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    before = plain.judge(encoded)
    teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    after = listening.judge(encoded)
    assert after.classes == (*before.classes, "confused")
    far = after.proba[:, -1] == 0
    assert far.mean() > 0.8
    np.testing.assert_array_equal(after.proba[far, :-1], before.proba[far])
    np.testing.assert_array_equal(after.unknown[far], before.unknown[far])


def test_a_new_class_takes_its_share_and_scales_the_rest(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    before = plain.judge(encoded)
    teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    after = listening.judge(encoded)
    assert after.classes[int(after.labels[0])] == "confused"
    rest = after.proba[0, :-1]
    np.testing.assert_allclose(rest / rest.sum(), before.proba[0], atol=1e-5)
    assert (after.head_proba[:, -1] == 0).all() and (after.knn_proba[:, -1] == 0).all()


def test_a_new_class_is_recognised_away_from_its_examples(bundle: Bundle, gallery: TaughtGallery) -> None:
    """Faces around one direction in which the bundle's own hardly vary; none is near another by chance."""
    rng = np.random.default_rng(0)
    own = bundle.index.gallery.embeddings
    rare = np.linalg.svd(own - own.mean(axis=0))[2][-1]
    rows = own[rng.integers(0, len(own), 60)] + 0.25 * rare
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    logits = {name: np.zeros((60, len(classes)), np.float32) for name, classes in bundle.classes.items()}
    faces = Encoded(rows, logits)
    listening = Recognizer(bundle, "fer2013", Following(gallery))
    teach(gallery, faces.take(slice(0, 2)), ["confused"] * 2)
    few = (listening.judge(faces.take(slice(20, 60))).labels == 7).mean()
    teach(gallery, faces.take(slice(2, 20)), ["confused"] * 18)
    many = (listening.judge(faces.take(slice(20, 60))).labels == 7).mean()
    assert many > 0.9 and few < many
    ordinary = listening.judge(Encoded(own, {name: np.zeros((len(own), 7), np.float32) for name in ("fer2013",)}))
    assert (ordinary.labels == 7).mean() < 0.05


def test_forgetting_takes_it_back(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    ids = teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    assert "confused" in listening.judge(encoded).classes
    gallery.remove(ids)
    np.testing.assert_array_equal(listening.judge(encoded).proba, plain.judge(encoded).proba)


def test_one_that_is_forgotten_during_the_search_says_nothing(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    teach(gallery, encoded.take(slice(0, 2)), ["confused", "happy"])
    index = gallery.snapshot()

    class Late:
        def current(self) -> TaughtIndex:
            return index

    listening = Recognizer(bundle, "fer2013", Late())
    listening.judge(encoded)
    gallery.remove_label("confused")
    after = listening.judge(encoded)
    assert after.proba[:, after.classes.index("confused")].max() == 0


def test_no_faces_are_legal(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    teach(gallery, encoded.take(slice(0, 4)), ["confused"] * 4)
    assert len(Recognizer(bundle, "fer2013", Following(gallery)).judge(encoded.take(slice(0, 0)))) == 0


def test_two_taught_classes_share_what_is_near_both(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    twice = encoded.take(np.array([0, 0]))
    teach(gallery, twice, ["confused", "bored"])
    after = Recognizer(bundle, "fer2013", Following(gallery)).judge(encoded.take(slice(0, 1)))
    shares = [after.proba[0, after.classes.index(name)] for name in ("bored", "confused")]
    assert shares[0] == pytest.approx(shares[1]) and sum(shares) > 0.9
