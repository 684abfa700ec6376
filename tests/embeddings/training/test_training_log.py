"""A training log is read as numbers, or refused in words."""

import pytest

from moodspace.embeddings.training.training_folder import LogError, find_log, read_log


def test_rows_are_numbers_in_order(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss,val_accuracy\n1,2.5,0.25\n2,2,0.5\n")
    assert read_log(tmp_path / "log.csv") == [
        {"epoch": 1.0, "loss": 2.5, "val_accuracy": 0.25},
        {"epoch": 2.0, "loss": 2.0, "val_accuracy": 0.5},
    ]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,loss\n1,two\n", "epoch,loss\n1\n", "\x00\x01\n\x02"])
def test_other_files_are_refused(text, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(LogError, match=r"log\.csv: expected a training log"):
        read_log(tmp_path / "log.csv")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(LogError, match="No such file"):
        read_log(tmp_path / "log.csv")


def test_a_log_is_found_from_its_folder_and_from_its_bundle(tmp_path):
    log = tmp_path / "mine.training" / "log.csv"
    log.parent.mkdir()
    log.write_text("epoch,loss\n1,2\n")
    assert find_log(log) == find_log(log.parent) == find_log(tmp_path / "mine") == log
    with pytest.raises(LogError, match="yours: expected a training log, found neither"):
        find_log(tmp_path / "yours")
