"""The gate: exactly shut far away, open nearby, and fitted to near copies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodspace.classifier.taught_scores import ITSELF, SUREST_ODDS, Gate, Whitening, fit_gate, perturbations
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import FakeEncoder

GATE = Gate()
ONE = np.array(1)


def test_steps_are_shut_even_and_open() -> None:
    at = GATE.closeness + np.array([-1.01, 0, 1.01]) * GATE.closeness_width
    odds = GATE.near_odds(at, ONE)
    assert odds[0] == 0.0
    assert odds[1] == pytest.approx(1)
    assert 10 < odds[2] < 100


@given(st.floats(-1, 1), st.floats(0, 0.5), st.integers(1, 500))
def test_nearer_is_never_less(similarity: float, more: float, examples: int) -> None:
    odds = GATE.near_odds(np.array([similarity, similarity + more]), np.array(examples))
    assert 0 <= odds[0] <= odds[1] < np.inf


def test_among_many_examples_a_face_has_to_be_nearer() -> None:
    assert GATE.near_odds(np.array(0.78), np.array(300)) == 0 < GATE.near_odds(np.array(0.78), ONE)


def test_more_new_classes_claim_less_each() -> None:
    deviations, ten = np.array([[4.2, 4.2]]), np.array([10, 10])
    alone, among = (GATE.mean_odds(deviations, ten, classes) for classes in (1, 4))
    assert (among > 0).all() and (among < alone).all()


def test_values_survive_json() -> None:
    gate = replace(GATE, closeness=0.7, least_examples=5)
    assert Gate.from_json(gate.to_json()) == gate
    assert Gate.from_json({}) == GATE


@pytest.mark.parametrize(
    "values", [{"closeness": 1.5}, {"closeness": "0.7"}, {"width": 1}, {"crowding": float("nan")}, {"deviations": True}]
)
def test_other_values_are_refused_in_words(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^gate.*expected"):
        Gate.from_json(values)


def test_fitted_gate_is_even_for_all_but_a_few_near_copies() -> None:
    crops, encoder = drawn_faces(60, seed=1).crops, FakeEncoder.taught(drawn_faces(140, seed=0))
    white = Whitening.fit(encoder.encode(drawn_faces(500, seed=2).crops).embeddings)
    gate = fit_gate(encoder, white, crops)
    faces = white(encoder.encode(crops).embeddings)
    copies = [white(encoder.encode(copy).embeddings) for copy in perturbations(crops).values()]
    won = np.mean([(faces * copy).sum(axis=1) >= gate.closeness for copy in copies])
    assert gate.closeness == 0.5 or won == pytest.approx(0.955, abs=0.005)
    assert won >= 0.3
    assert fit_gate(encoder, white, crops[:0]) == GATE


def test_the_mean_of_a_class_is_nearer_the_more_it_deviates() -> None:
    deviations = np.linspace(-2, 8, 40)[:, None]
    nearness = GATE.mean_nearness(deviations, np.array([10]), 1)[:, 0]
    assert (np.diff(nearness) >= 0).all() and nearness[-1] > nearness[0]
    assert nearness[0] == pytest.approx(GATE.closeness - GATE.closeness_width)


def test_the_same_picture_opens_the_gate_however_many_examples_there_are() -> None:
    assert GATE.near_odds(np.array(ITSELF), np.array(1_000_000)) == SUREST_ODDS


def test_an_encoder_to_which_copies_are_equal_leaves_room_above_the_gate() -> None:
    class Same(FakeEncoder):
        def encode(self, crops):
            encoded = super().encode(crops)
            return replace(encoded, embeddings=np.eye(1, self.dim, dtype=np.float32).repeat(len(crops), axis=0))

    white = Whitening(np.zeros(16, np.float32), np.eye(16, dtype=np.float32))
    assert fit_gate(Same(), white, drawn_faces(5, seed=1).crops).closeness == pytest.approx(0.95)
