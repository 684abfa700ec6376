"""Tests of viz/training_curves.py."""

import numpy as np
import pytest
from PIL import Image

from moodspace.viz.training_curves import _panels, draw_curves


def log(epochs: int, **constant: float) -> list[dict[str, float]]:
    return [
        {"epoch": epoch, "loss": 2 / epoch, "val_accuracy": 1 - 0.5 / epoch, "learning_rate": 1e-3, **constant}
        for epoch in range(1, epochs + 1)
    ]


def test_each_quantity_has_a_panel() -> None:
    rows = log(3, val_fer2013_accuracy=0.5, val_fer2013_loss=1.0, embedding_active_triplets=0.4, spread=1.2)
    shown = {title: columns for title, columns in _panels({"a": rows, "b": log(2, val_recall_at_1=0.5)}) if columns}
    assert shown["validation accuracy"] == ["val_fer2013_accuracy"]
    assert shown["active triplets"] == ["embedding_active_triplets"]
    assert shown["validation recall@1"] == ["val_recall_at_1"]
    assert len(shown) == 7


def test_runs_of_other_length_and_columns_share_a_picture(tmp_path) -> None:
    draw_curves({"long": log(30, spread=1.0), "short": log(1)}, tmp_path / "curves.png")
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"))
    assert picture.shape[1] == 1760
    blue, orange = (np.abs(picture.astype(int) - shade).sum(axis=2).min() for shade in ((0, 114, 178), (213, 94, 0)))
    assert blue < 20 and orange < 20


def test_another_run_changes_the_picture(tmp_path) -> None:
    for name, runs in (("one", {"a": log(5)}), ("two", {"a": log(5), "b": log(9)})):
        draw_curves(runs, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("runs", [{}, {"a": []}])
def test_without_epochs_there_is_nothing_to_draw(runs, tmp_path) -> None:
    with pytest.raises(ValueError, match="expected runs with at least one epoch"):
        draw_curves(runs, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())
