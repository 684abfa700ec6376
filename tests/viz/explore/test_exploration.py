"""Tests of exploring a data set, and of the document that it writes."""

import json

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.viz.explore.data import DataParts, Unreadable
from moodspace.viz.explore.document import summary, to_document
from moodspace.viz.explore.exploration import explore, explore_parts
from moodspace.viz.explore.page import write_exploration
from tests.drawn_faces import drawn_faces, write_folder, write_parquet
from tests.fake_encoder import fake_bundle
from tests.viz.explore.drawn_parts import OTHER, TRAIN, noted, two_parts, with_copies


def test_copies_across_parts_are_found_and_checked_against_the_marks():
    document = to_document(explore_parts(with_copies()))
    same = document["identical"]
    assert (same["groups"], same["faces"], same["other_label"]) == (2, 4, 1)
    assert same["within"] == {"train": 0, "validation": 0}
    assert same["across"] == [{"parts": ["train", "validation"], "groups": 2, "faces": [2, 2], "pairs": 2}]
    assert document["twins"] == {
        "train": {"marked": 3, "found": 2, "elsewhere": 1, "unmarked": 0},
        "validation": {"marked": 2, "found": 2, "elsewhere": 0, "unmarked": 0},
    }
    contradicting = next(group for group in same["list"] if len({face["label"] for face in group}) > 1)
    assert contradicting[0]["source"] == TRAIN.sources[5] and contradicting[1]["part"] == "validation"


def test_unmarked_copies_are_counted():
    data = with_copies()
    twin = data.faces.twin.copy()
    twin[5] = False
    document = to_document(
        explore_parts(DataParts(noted(data.faces, twin=twin), data.part, data.names, data.unreadable))
    )
    assert document["twins"]["train"] == {"marked": 2, "found": 1, "elsewhere": 1, "unmarked": 1}


def test_counts_light_and_blank_pictures():
    crops = TRAIN.crops.copy()
    crops[0], crops[1] = 0, 200
    found = explore_parts(two_parts(noted(TRAIN, crops=crops), unreadable=[Unreadable("train", "x.png", "torn")]))
    document = to_document(found)
    assert document["faces"] == 210 and document["parts"]["train"]["counts"]["happy"] == 20
    assert document["parts"]["train"]["unreadable"] == 1 and document["parts"]["validation"]["unreadable"] == 0
    assert [face["source"] for face in document["blank"]] == list(TRAIN.sources[:2])
    assert found.brightness[:2].tolist() == [0, 200] and found.contrast[:2].tolist() == [0, 0]
    grey = crops[5].astype(float)
    assert found.brightness[5] == pytest.approx(grey.mean(), abs=0.01)
    assert found.contrast[5] == pytest.approx(grey.std(), abs=0.01)
    light = document["light"]["happy"]["brightness"]
    assert light["p5"] < light["median"] < light["p95"]


def test_turned_labels_are_listed_with_what_people_saw():
    # One stripe for each class under much noise: simple enough for an encoder without a network.
    noise = np.random.default_rng(1).normal(128, 30, (140, 48, 48))
    noise[np.arange(140), 5 + 6 * TRAIN.labels] += 60
    faces = noted(TRAIN, crops=np.clip(noise, 0, 255).astype(np.uint8))
    turned = np.array([10, 20])
    labels = faces.labels.copy()
    labels[turned] = (labels[turned] + 3) % 7
    data = DataParts(noted(faces, labels=labels), np.zeros(140, np.int64), ("train",))
    found = to_document(explore_parts(data, bundle=fake_bundle(faces, dim=64)))["label_errors"]
    named = {one["source"]: one for one in found["list"]}
    assert found["judged"] == 140 and found["learned"] == 140 and found["agreement_unseen"] is None
    assert set(named) == {faces.sources[row] for row in turned}
    for row in turned:
        one = named[faces.sources[row]]
        assert (one["label"], one["suggested"]) == (faces.classes[labels[row]], faces.classes[faces.labels[row]])
        assert one["probability_suggested"] > one["probability_label"]
        assert sum(one["votes"].values()) == faces.votes[row].sum()
        assert list(one["votes"].values()) == sorted(one["votes"].values(), reverse=True)
    assert found["people"]["asked"] == 2 and found["people"]["saw_label"] == 0


def test_without_a_bundle_no_label_is_doubted():
    assert to_document(explore_parts(two_parts()))["label_errors"] is None


@pytest.mark.parametrize("n", [1, 3])
def test_a_few_faces_of_one_class(n, tmp_path):
    write_folder(drawn_faces(n, 1, ("happy",)), tmp_path / "data")
    found = explore([tmp_path / "data"], bundle=fake_bundle(drawn_faces(28, 1)))
    document = to_document(found)
    assert document["faces"] == n and document["label_errors"]["judged"] == 0
    assert [path.name for path in write_exploration(found, tmp_path / "out")] == ["explore.html", "explore.json"]


def test_what_is_written_is_what_was_found(tmp_path):
    write_parquet(TRAIN, tmp_path / "train.parquet")
    write_parquet(OTHER, tmp_path / "validation.parquet")
    stages = []
    found = explore([tmp_path], progress=lambda stage: stages.append(stage))
    page, data = write_exploration(found, tmp_path / "new" / "folder")
    assert json.loads(data.read_text(encoding="utf-8")) == to_document(found)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert stages == [f"read {tmp_path.name}", "compare"]


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "happy").mkdir()
    with pytest.raises(DataError, match=r"expected"):
        explore([tmp_path])
    (tmp_path / "happy" / "torn.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"torn\.png|expected"):
        explore([tmp_path])


def test_the_summary_names_what_matters():
    lines = list(summary(to_document(explore_parts(with_copies()))))
    assert lines[0] == "210 faces, 7 classes: train 140, validation 70"
    assert "  in both parts: 2 faces of train, 2 of validation" in lines
    assert any(line.startswith("identical pixels: 4 faces in 2 groups, 1 of them") for line in lines)
    assert not any("label errors" in line for line in lines)
