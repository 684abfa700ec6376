"""The known faces behind a smoothed answer: of the same time as its probabilities."""

from collections import Counter

import numpy as np
import pytest

from moodspace.realtime.evidence import NearFace, SmoothedEvidence, reason
from tests.realtime.fakes import together

CLASSES = ("sad", "neutral")
SAD, NEUTRAL = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def found(label: str, first: int, n: int = 5, similarity: float = 0.9) -> list[NearFace]:
    return [NearFace(first + at, label, similarity - at / 1000, f"{label}-{at}.png") for at in range(n)]


def labels(evidence: SmoothedEvidence) -> Counter:
    return Counter(one.label for one in evidence.nearest(5))


def test_a_single_look_is_shown_as_it_is() -> None:
    evidence = SmoothedEvidence(0.5)
    evidence.update(together(found("sad", 0)), CLASSES, SAD, 0.0)
    assert [one.id for one in evidence.nearest(5)] == [0, 1, 2, 3, 4]
    assert [one.similarity for one in evidence.nearest(2)] == pytest.approx([0.9, 0.899])
    np.testing.assert_allclose(evidence.votes(("neutral", "sad")), [0, 1])


def test_neighbors_change_when_the_smoothed_probabilities_do() -> None:
    evidence, times = SmoothedEvidence(0.5), np.arange(0, 1, 1 / 30)
    for now in times:
        evidence.update(together(found("sad", 0)), CLASSES, SAD, now)
    for now in times + 1:
        # More similar than the ones before, which would put them first at once.
        evidence.update(together(found("neutral", 100, similarity=0.95)), CLASSES, NEUTRAL, now)
        share, best = evidence.votes(CLASSES)[0], labels(evidence).most_common(1)[0][0]
        if abs(share - 0.5) > 0.03:
            assert best == ("sad" if share > 0.5 else "neutral")
    assert labels(evidence) == {"neutral": 5}


def test_neighbors_of_one_odd_look_do_not_displace_those_of_many() -> None:
    evidence = SmoothedEvidence(0.5)
    for at in range(30):
        evidence.update(together(found("sad", 0)), CLASSES, SAD, at / 30)
    evidence.update(together(found("neutral", 100, similarity=0.99)), CLASSES, NEUTRAL, 1.0)
    assert labels(evidence) == {"sad": 5} and evidence.votes(CLASSES)[0] > 0.9


def test_a_similarity_is_the_mean_of_the_looks_that_found_it_never_more_than_one() -> None:
    evidence = SmoothedEvidence(0.5)
    for at in range(60):
        evidence.update(together(found("sad", 0, n=1, similarity=1.0) if at % 2 else []), CLASSES, SAD, at / 30)
    assert evidence.nearest(5)[0].similarity == pytest.approx(1.0)


def test_what_was_forgotten_is_gone_with_the_next_look() -> None:
    evidence = SmoothedEvidence(0.5)
    for at in range(30):
        evidence.update(together(found("smirk", 10**9)), ("smirk", *CLASSES), np.array([1, 0, 0], np.float32), at / 30)
    evidence.reset()
    evidence.update(together(found("sad", 0)), CLASSES, SAD, 1.0)
    assert labels(evidence) == {"sad": 5} and evidence.votes(CLASSES)[0] == 1


def test_without_a_look_there_is_no_evidence() -> None:
    evidence = SmoothedEvidence(0.5)
    assert evidence.nearest(5) == () and evidence.votes(CLASSES).tolist() == [0.5, 0.5]


def test_it_stays_small_over_a_long_session() -> None:
    evidence = SmoothedEvidence(0.5)
    for at in range(600):
        evidence.update(together(found("sad", 100 * at, n=50)), CLASSES, SAD, at / 30)
    assert len(evidence) < 50 * 60


def test_a_taught_face_that_decides_is_never_missing() -> None:
    evidence = SmoothedEvidence(0.5)
    taught = NearFace(10**9, "smirk", 0.8, "live", taught=True)
    evidence.update(together([*found("sad", 0, n=30), taught]), CLASSES, SAD, 0.0)
    assert [one.label for one in evidence.nearest(5, "smirk")] == ["sad"] * 4 + ["smirk"]
    assert labels(evidence) == {"sad": 5}
    assert evidence.nearest(1, "smirk") == (taught,)


def test_what_is_known_of_a_face_comes_from_the_newest_look() -> None:
    evidence = SmoothedEvidence(0.5)
    evidence.update(together(found("sad", 0, n=3)), CLASSES, SAD, 0.0)
    evidence.update(together([NearFace(1, "neutral", 0.7, "renamed.png")]), CLASSES, SAD, 0.5)
    (one,) = (face for face in evidence.nearest(5) if face.id == 1)
    assert (one.label, one.source) == ("neutral", "renamed.png")
    # Both looks have the same weight, half a second apart.
    assert one.similarity == pytest.approx((0.899 + 0.7) / 2)


def test_equally_important_faces_are_listed_by_their_ids() -> None:
    evidence = SmoothedEvidence(0.5)
    evidence.update(together([NearFace(one, "sad", 0.9, "") for one in (7, 3, 9, 1, 5)]), CLASSES, SAD, 0.0)
    assert [one.id for one in evidence.nearest(2)] == [1, 3]


def test_the_reason_names_what_outweighs_the_votes() -> None:
    near = found("neutral", 0)
    neutral = np.array([0.46, 0.54], np.float32)
    assert reason("neutral", CLASSES, near, CLASSES, neutral) == ""
    said = reason("sad", CLASSES, near, CLASSES, neutral)
    assert said == "Together, the neighbors vote neutral (54 %); the network's own prediction makes it sad."
    votes, names = np.array([0.46, 0.54, 0], np.float32), (*CLASSES, "smirk")
    assert "you taught as smirk decide" in reason("smirk", CLASSES, near, names, votes)
    taught = [*near, NearFace(10**9, "sad", 0.8, "live", taught=True)]
    assert "you taught as sad decide" in reason("sad", CLASSES, taught, CLASSES, neutral)
