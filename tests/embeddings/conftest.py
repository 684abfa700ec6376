"""What the tests of the training share: no chatter of TensorFlow, and drawn faces as `train_encoder` takes them."""

import os
from collections.abc import Callable

import pytest

from moodspace.embeddings.data.labels import targets_from_labels, targets_from_votes
from tests.drawn_faces import drawn_faces

# Read when TensorFlow is first imported, which is while the test modules are collected: a fixture would come too late.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def drawn() -> Callable:
    """Make `moodspace.embeddings.training.fit.FaceTargets` of n drawn faces with labels and, if asked, votes."""
    from moodspace.embeddings.training.fit import FaceTargets

    def make(n: int, seed: int, votes: bool = False):
        faces = drawn_faces(n, seed, votes=votes)
        targets = {"fer2013": targets_from_labels(faces.labels, faces.classes)}
        if votes:
            targets["ferplus"] = targets_from_votes(faces.votes)
        return FaceTargets(faces.crops, targets)

    return make
