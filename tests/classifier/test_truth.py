"""The truth is read from the label set of that name where there is one, else matched by name."""

import numpy as np

from moodspace.classifier.evaluation import match_truth
from moodspace.embeddings.data.labelled import LabelledFaces, label_sets
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES


def test_truth_is_matched_by_name_not_by_position() -> None:
    faces = LabelledFaces(
        crops=np.zeros((3, 48, 48), np.uint8),
        labels=np.array([0, 1, 2]),
        classes=("calm", "joy", "sadness"),
        votes=None,
        twin=np.zeros(3, np.bool_),
        sources=("a", "b", "c"),
    )
    truth = match_truth(faces, "fer2013", FER2013_CLASSES)
    np.testing.assert_array_equal(truth.columns, [3, 5])
    np.testing.assert_array_equal(truth.labels, [-1, 3, 5])


def test_a_label_set_of_that_name_is_read_as_it_is(other_faces: LabelledFaces) -> None:
    truth = match_truth(other_faces, "ferplus", FERPLUS_CLASSES)
    np.testing.assert_array_equal(truth.labels, label_sets(other_faces)["ferplus"].labels)
    np.testing.assert_array_equal(truth.columns, np.arange(8))
    assert (truth.labels != match_truth(other_faces, "another", FERPLUS_CLASSES).labels).any()


def test_columns_follow_the_predictions_order(other_faces: LabelledFaces) -> None:
    truth = match_truth(other_faces, "mine", ("sad", "bored", "angry"))
    np.testing.assert_array_equal(truth.columns, [0, 2])
    names = np.array([*other_faces.classes])[other_faces.labels]
    np.testing.assert_array_equal(truth.labels, np.select([names == "sad", names == "angry"], [0, 2], -1))
