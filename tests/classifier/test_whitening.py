"""After whitening, faces in general point everywhere alike; few faces change little."""

import numpy as np
import pytest

from moodspace.classifier.taught_scores import Whitening


def squeezed(n: int, seed: int = 0) -> np.ndarray:
    """Unit rows whose first directions vary a hundred times more than the others, around a mean far from 0."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 8)) * ([1.0] * 2 + [0.01] * 6) + 3 * np.eye(8)[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_every_direction_counts_the_same() -> None:
    rows = squeezed(20_000)
    white = Whitening.fit(rows)
    plain = (rows - white.mean) @ white.transform
    variances = np.linalg.eigvalsh(np.cov(plain.T))
    assert variances.max() == pytest.approx(1, abs=0.05)
    assert np.median(variances) > 100 * np.median(np.linalg.eigvalsh(np.cov(rows.T)))


def test_rows_have_unit_length_and_any_leading_shape() -> None:
    rows = squeezed(64)
    found = Whitening.fit(rows)(rows.reshape(8, 8, 8))
    assert (found.shape, found.dtype) == ((8, 8, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)


def test_what_is_rare_tells_faces_apart_that_cosine_does_not() -> None:
    rows = squeezed(5000)
    face, other = rows[0], rows[0] + 0.03 * np.eye(8, dtype=np.float32)[7]
    other /= np.linalg.norm(other)
    white = Whitening.fit(rows)
    assert face @ other > 0.999
    assert white(face) @ white(other) < 0.9


@pytest.mark.parametrize("n", [0, 1])
def test_without_faces_similarity_stays_the_cosine(n: int) -> None:
    white, rows = Whitening.fit(squeezed(5)[:n]), squeezed(6, seed=1)
    np.testing.assert_allclose(white(rows) @ white(rows).T, rows @ rows.T, atol=1e-6)


def test_few_faces_are_believed_less() -> None:
    few, many = (Whitening.fit(squeezed(n)).transform for n in (20, 2000))
    assert np.linalg.cond(few) < 0.5 * np.linalg.cond(many)
