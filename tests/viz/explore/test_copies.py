"""Tests of viz/explore/copies.py."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from moodspace.classifier.taught_scores import perturbations
from moodspace.viz.explore.copies import NEAR, aligned_similarity, find_copies
from tests.drawn_faces import drawn_faces

FACES = drawn_faces(24, 5).crops


def blots(n, seed):
    """Pictures with large and small shapes as photographs have, and unlike each other as drawn faces are not."""
    noise = np.random.default_rng(seed).normal(size=(n, 48, 48))
    shapes = gaussian_filter(noise, (0, 5, 5)) * 15 + gaussian_filter(noise, (0, 2, 2)) * 3
    return np.clip(shapes * 30 + 128, 30, 225).astype(np.uint8)


def test_the_same_pixels_are_found_wherever_they_stand():
    found = find_copies(np.concatenate([FACES, FACES[[3, 7]], FACES[[3]]]))
    assert sorted(rows.tolist() for rows in found.groups) == [[3, 24, 26], [7, 25]]
    assert (found.pixels[:24, None] == found.pixels[None, :24]).sum() == 24  # no other two are the same


@pytest.mark.parametrize("name", list(perturbations(FACES[:1])))
def test_near_copies_are_found_and_said_to_be_mirrored(name):
    crops = blots(6, 1)
    copy = perturbations(crops)[name][[2]]
    found = find_copies(np.concatenate([crops, copy]))
    assert found.pairs.tolist() == [[2, 6]]
    assert found.mirrored.tolist() == [name == "flip"]
    assert NEAR <= found.similarity[0] <= 1


def test_unlike_pictures_are_no_copies():
    noise = np.random.default_rng(2).integers(0, 256, (40, 48, 48)).astype(np.uint8)
    assert len(find_copies(noise).pairs) == 0


def test_a_family_is_held_together_by_its_near_copies():
    crops = blots(5, 3)
    shifted = perturbations(crops)["shift 1 0"]
    family = find_copies(np.concatenate([crops, crops[[1]], shifted[[1]], shifted[[4]]])).families
    assert family[1] == family[5] == family[6] and family[4] == family[7]
    assert len(set(family.tolist())) == 5


def test_a_film_of_one_face_is_one_family():
    still = np.clip(np.random.default_rng(4).normal(size=(48, 48)) * 30 + 128, 0, 255)
    film = np.clip(still + np.random.default_rng(5).integers(-2, 3, (300, 48, 48)), 0, 255).astype(np.uint8)
    found = find_copies(film)
    assert set(found.families.tolist()) == {0}
    assert len(found.pairs) <= 300 * 20  # not 300 * 299 / 2


def test_flat_pictures_are_like_themselves_alone():
    flat = np.full((3, 48, 48), [[[0]], [[0]], [[90]]], np.uint8)
    found = find_copies(flat)
    assert [rows.tolist() for rows in found.groups] == [[0, 1]] and len(found.pairs) == 0
    assert aligned_similarity(flat, FACES[:3]).tolist() == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("n", [0, 1])
def test_few_faces_have_no_copies(n):
    found = find_copies(FACES[:n])
    assert len(found.pixels) == len(found.families) == n and found.groups == [] and len(found.pairs) == 0


def test_progress_ends_with_all_faces():
    seen = []
    find_copies(FACES, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24, 24) and [done for done, _ in seen] == sorted(done for done, _ in seen)
