"""Tests of benchmarks/speed/map.py."""

from pathlib import Path

import pytest

from benchmarks.speed.map import REPEATS, placing_ms, quality_lines, same_files

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("name", "content", "same"), [("a", b"1", True), ("a", b"2", False), ("b", b"1", False)])
def test_files_are_compared_by_name_and_byte(tmp_path: Path, name: str, content: bytes, same: bool) -> None:
    for folder, file, written in (("one", "a", b"1"), ("two", name, content)):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / file).write_bytes(written)
    assert same_files(tmp_path / "one", tmp_path / "two") == same


def test_the_placing_of_a_hundred_faces_is_timed_several_times(shipped: Path) -> None:
    times = placing_ms(shipped)
    assert len(times) == REPEATS
    assert min(times) > 0


def test_the_shipped_map_can_be_trusted(shipped: Path) -> None:
    lines = quality_lines(shipped)
    assert [line.split(":")[0] for line in lines] == ["fer2013", "ferplus", "blend"]
    for line in lines:
        assert float(line.split("trustworthiness ")[1].split()[0]) >= 0.85
