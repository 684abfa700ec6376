"""Tests of viz/explore/embeddings.py."""

from dataclasses import replace

import numpy as np
import pytest

from moodspace.classifier.face_pictures import gallery_rows
from moodspace.embeddings.data.labelled import merge
from moodspace.viz.explore.embeddings import embed_faces
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

KNOWN = drawn_faces(28, 1)
NEW = replace(drawn_faces(7, 2), sources=tuple(f"new/{i}.png" for i in range(7)))


def counting(bundle):
    """The bundle, and how many faces its encoder was given."""
    given = []
    encode = bundle.encoder.encode
    bundle.encoder.encode = lambda crops: (given.append(len(crops)), encode(crops))[1]
    return bundle, given


def test_what_the_gallery_holds_is_not_embedded_again():
    bundle, given = counting(fake_bundle(drawn_faces(700, 1)))
    faces = merge([drawn_faces(700, 1), NEW])
    embeddings, known = embed_faces(bundle, faces)
    assert known.tolist() == [True] * 700 + [False] * 7
    assert sum(given) == 64 + 7
    assert embeddings == pytest.approx(
        bundle.encoder.encode(faces.crops).embeddings, abs=2e-3
    )  # 16 bits in the gallery


def test_other_pictures_of_the_same_names_are_not_known():
    strangers = replace(drawn_faces(28, 9), sources=KNOWN.sources)
    bundle = fake_bundle(KNOWN)
    embeddings, known = embed_faces(bundle, strangers)
    assert not known.any()
    assert np.array_equal(embeddings, bundle.encoder.encode(strangers.crops).embeddings)


def test_no_faces_are_no_embeddings():
    embeddings, known = embed_faces(fake_bundle(KNOWN), KNOWN.take(slice(0)))
    assert embeddings.shape == (0, 16) and known.shape == (0,)


def test_faces_of_one_name_are_told_apart_by_their_order():
    twins = replace(KNOWN, sources=("a.png", "a.png", *KNOWN.sources[2:]))
    assert gallery_rows(fake_bundle(twins), twins).tolist() == list(range(28))
