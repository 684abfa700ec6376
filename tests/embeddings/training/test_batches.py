"""Batches cover every crop once and tell how far they are."""

import numpy as np
import pytest

from moodspace.embeddings.encoder import BATCH, batches, encode_all
from tests.fake_encoder import FakeEncoder


@pytest.mark.parametrize(("n", "sizes"), [(0, [0]), (32, [32]), (70, [32, 32, 6])])
def test_batches_are_in_order_and_whole(n: int, sizes: list[int]) -> None:
    crops = np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2)
    steps: list[tuple[int, int]] = []
    found = list(batches(crops, lambda done, total: steps.append((done, total)), size=32))
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), crops)
    assert steps == [(done, n) for done in np.cumsum(sizes)]


def test_progress_follows_the_work() -> None:
    steps: list[tuple[int, int]] = []
    for done, _ in enumerate(batches(np.zeros((6, 2, 2), np.uint8), lambda *step: steps.append(step), size=2)):
        assert len(steps) == done


@pytest.mark.parametrize("n", [0, BATCH + 3])
def test_encoding_in_batches_is_encoding(n: int) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (n, 48, 48), dtype=np.uint8)
    encoder = FakeEncoder(4)
    whole, found = encoder.encode(crops), encode_all(encoder, crops)
    np.testing.assert_allclose(found.embeddings, whole.embeddings, atol=1e-6)
    np.testing.assert_allclose(found.logits["fer2013"], whole.logits["fer2013"], atol=1e-4)
