"""Taught faces win near themselves, change nothing far away, and bring classes of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.taught_scores import SUREST_ODDS, Gate, common_classes, nearest_wins
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.encoder import Encoded
from moodspace.index.search import GalleryIndex
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery, open_taught
from moodspace.index.taught.search import TaughtIndex

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
    before = plain.predict_encoded(encoded)
    wanted = before.classes[(int(before.labels[0]) + 1) % len(before.classes)]
    number = teach(gallery, encoded.take(slice(0, 1)), [wanted])[0]
    after = listening.predict_encoded(encoded)
    assert after.classes == before.classes
    assert after.classes[int(after.labels[0])] == wanted
    np.testing.assert_allclose(after.proba.sum(axis=1), 1, atol=1e-6)
    assert (after.neighbors.ids[0, 0], after.neighbors.sources[0, 0]) == (number, "taught")
    assert listening.neighbor_names(after, 0)[0] == wanted
    assert not after.unknown[0]


def test_far_from_taught_faces_nothing_changes_at_all(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    before = plain.predict_encoded(encoded)
    teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    after = listening.predict_encoded(encoded)
    assert after.classes == (*before.classes, "confused")
    far = after.proba[:, -1] == 0
    assert far.mean() > 0.8
    np.testing.assert_array_equal(after.proba[far, :-1], before.proba[far])
    np.testing.assert_array_equal(after.unknown[far], before.unknown[far])


def test_a_new_class_takes_its_share_and_scales_the_rest(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    before = plain.predict_encoded(encoded)
    teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    after = listening.predict_encoded(encoded)
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
    few = (listening.predict_encoded(faces.take(slice(20, 60))).labels == 7).mean()
    teach(gallery, faces.take(slice(2, 20)), ["confused"] * 18)
    many = (listening.predict_encoded(faces.take(slice(20, 60))).labels == 7).mean()
    assert many > 0.9 and few < many
    ordinary = listening.predict_encoded(
        Encoded(own, {name: np.zeros((len(own), 7), np.float32) for name in ("fer2013",)})
    )
    assert (ordinary.labels == 7).mean() < 0.05


def test_a_known_class_that_the_bundle_hardly_has_is_taught_like_a_new_one(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    teach(gallery, encoded, ["disgust"] * len(encoded))
    labels = dict(bundle.index.gallery.labels)
    column = bundle.classes["fer2013"].index("disgust")
    labels["fer2013"] = np.where(labels["fer2013"] == column, -1, labels["fer2013"])
    without = replace(bundle, index=GalleryIndex(replace(bundle.index.gallery, labels=labels), encoder="fake"))
    by_mean = {}
    for one in (bundle, without):
        recognizer = Recognizer(one, "fer2013", Following(gallery))
        recognizer.search(encoded)
        assert recognizer._scorer is not None and recognizer._scorer._means is not None
        by_mean[one] = recognizer._scorer._means.new.tolist()
    assert by_mean == {bundle: [], without: [0]}


def test_a_class_of_another_label_set_is_helped_by_its_head_where_it_was_taught(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    column = bundle.classes["ferplus"].index("contempt")
    teach(gallery, encoded.take(slice(0, 1)), ["contempt"])
    plain = Recognizer(bundle, "fer2013", Following(gallery)).search(encoded).taught_scores
    assert plain is not None and plain.odds[0, 0] > 0
    logits = dict(encoded.logits)
    logits["ferplus"] = logits["ferplus"] + 50 * np.eye(logits["ferplus"].shape[1], dtype=np.float32)[column]
    sure = Encoded(encoded.embeddings, logits)
    helped = Recognizer(bundle, "fer2013", Following(gallery)).search(sure).taught_scores
    assert helped is not None
    near = plain.odds[:, 0] > 0
    assert (helped.odds[near] > plain.odds[near]).all()
    assert (helped.odds[~near] == 0).all()
    teach(gallery, encoded.take(slice(0, 1)), ["confused"])  # no label set has this class
    both_taught = Recognizer(bundle, "fer2013", Following(gallery))
    one, other = (both_taught.search(faces).taught_scores for faces in (encoded, sure))
    assert one is not None and other is not None
    confused = one.classes.index("confused")
    np.testing.assert_array_equal(one.odds[:, confused], other.odds[:, confused])


def test_classes_are_common_from_a_hundredth_of_the_faces_on() -> None:
    labels = np.repeat([0, 1, 2], [180, 18, 2])
    assert common_classes(labels, ("a", "b", "c", "d")) == ("a", "b", "c")
    assert common_classes(np.append(labels, [0] * 200), ("a", "b", "c", "d")) == ("a", "b")
    assert common_classes(np.array([-1, -1]), ("a", "b")) == ("a", "b")


def test_forgetting_takes_it_back(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    plain, listening = both(bundle, gallery, "fer2013")
    ids = teach(gallery, encoded.take(slice(0, 1)), ["confused"])
    taught = listening.predict_encoded(encoded)
    assert "confused" in taught.classes and taught.proba.dtype == np.float32
    gallery.remove(ids)
    np.testing.assert_array_equal(listening.predict_encoded(encoded).proba, plain.predict_encoded(encoded).proba)


def test_one_that_is_forgotten_during_the_search_says_nothing(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    teach(gallery, encoded.take(slice(0, 2)), ["confused", "happy"])
    index = gallery.snapshot()

    class Late:
        def current(self) -> TaughtIndex:
            return index

    listening = Recognizer(bundle, "fer2013", Late())
    listening.predict_encoded(encoded)
    gallery.remove_label("confused")
    after = listening.predict_encoded(encoded)
    assert after.proba[:, after.classes.index("confused")].max() == 0


def test_no_faces_are_legal(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    teach(gallery, encoded.take(slice(0, 4)), ["confused"] * 4)
    assert len(Recognizer(bundle, "fer2013", Following(gallery)).predict_encoded(encoded.take(slice(0, 0)))) == 0


def test_two_taught_classes_share_what_is_near_both(bundle: Bundle, gallery: TaughtGallery, encoded: Encoded) -> None:
    twice = encoded.take(np.array([0, 0]))
    teach(gallery, twice, ["confused", "bored"])
    after = Recognizer(bundle, "fer2013", Following(gallery)).predict_encoded(encoded.take(slice(0, 1)))
    shares = [after.proba[0, after.classes.index(name)] for name in ("bored", "confused")]
    assert shares[0] == pytest.approx(shares[1]) and sum(shares) > 0.9


def slightly_other(encoded: Encoded, count: int, away: float) -> Encoded:
    """Return faces that are next to the first one, each a little elsewhere."""
    rng = np.random.default_rng(0)
    rows = encoded.embeddings[:1] + away * rng.normal(size=(count, encoded.embeddings.shape[1])).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Encoded(rows, {name: np.repeat(values[:1], count, axis=0) for name, values in encoded.logits.items()})


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus", "blend"])
@pytest.mark.parametrize("backwards", [False, True])
def test_each_of_many_similar_taught_pictures_comes_back_as_its_own_class(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded, label_set: str, backwards: bool
) -> None:
    similar = slightly_other(encoded, 150, 0.02)
    names = [f"class {number:03d}" for number in range(150)]
    names = names[::-1] if backwards else names
    teach(gallery, similar, names)
    after = both(bundle, gallery, label_set)[1].predict_encoded(similar)
    assert [after.classes[column] for column in after.labels] == names
    assert not after.unknown.any()


@pytest.mark.parametrize("label_set", ["fer2013", "blend"])
@pytest.mark.parametrize("names", [("aaa", "zzz"), ("zzz", "aaa"), ("happy", "zzz"), ("aaa", "happy")])
def test_one_face_under_two_names_is_unknown(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded, label_set: str, names: tuple[str, str]
) -> None:
    one = encoded.take(slice(0, 1))
    for name in names:
        teach(gallery, one, [name])
    after = both(bundle, gallery, label_set)[1].predict_encoded(one)
    assert after.unknown.tolist() == [True]
    columns = [after.classes.index(name) for name in names]
    assert after.proba[0, columns[0]] == after.proba[0, columns[1]]
    np.testing.assert_allclose(after.proba.sum(axis=1), 1, atol=1e-6)


def test_a_taught_picture_beats_the_mean_of_another_class(
    bundle: Bundle, gallery: TaughtGallery, encoded: Encoded
) -> None:
    similar = slightly_other(encoded, 6, 0.01)
    teach(gallery, similar, ["a crowd"] * 5 + ["the picture"])
    after = both(bundle, gallery, "fer2013")[1].predict_encoded(similar.take(slice(5, 6)))
    assert after.classes[int(after.labels[0])] == "the picture"
    assert not after.unknown[0]


def test_the_nearest_of_those_that_are_certain_wins() -> None:
    most = SUREST_ODDS
    odds = np.array([[most, most, most], [most, most, 0.0], [most, 1.0, 0.0], [0.1, 0.1, 0.0]])
    nearness = np.array([[0.90, 1.0, 0.99], [0.95, 0.95, -1], [0.9, 0.8, -1], [0.75, 0.74, -1]])
    lowered = nearest_wins(odds, nearness)
    assert lowered[0].argmax() == 1
    assert lowered[0, 0] < lowered[0, 2] < lowered[0, 1] == most
    np.testing.assert_array_equal(lowered[1], odds[1])  # a tie stays one
    assert lowered[2, 0] == most and lowered[2, 1] < 0.01
    np.testing.assert_allclose(lowered[3], odds[3], rtol=1e-3)  # nothing is certain: each keeps its say
    assert (odds[0] == most).all(), "the argument is left alone"


def test_a_picture_in_a_crowded_class_opens_the_gate() -> None:
    gate = Gate(closeness=0.95)
    assert gate.near_odds(np.array([1.0]), np.array([500])) == SUREST_ODDS
