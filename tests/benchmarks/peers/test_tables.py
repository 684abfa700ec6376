"""The tables of docs/peers.md and README.md: they are those of the figures that are kept, and say who is ahead."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers.environments import settings
from benchmarks.peers.figures import FIGURES, read_figures
from benchmarks.peers.tables import (
    PAGE,
    README,
    ahead,
    begin,
    cell,
    end,
    page_tables,
    readme_table,
    replace_block,
    told,
    write_tables,
)

ROW = {"license": "MIT", "installed_mb": 100, "failures": []}


def peer(name: str, accuracy: float, one: float, short: str = "", ece: float = 5.0) -> dict[str, Any]:
    return ROW | {
        "name": name, "short": short, "version": "1", "cold_s": 1.0, "peak_mb": 100, "network_mb": 0.1,
        "quality": {"a/set": {"accuracy": accuracy, "macro_f1": accuracy, "ece": ece}}, "weights": 55_472,
        "ms": {"1": one, "8": one, "32": one}, "clips": {"clip": {"frames_per_s": 30.0, "faces": 4.0}},
        "ratios": {"ms.1": 2 / one, "cold_s": 1.0, "clips.clip": 1.0},
    }  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    first = peer("Moodspace", 73.0, 2.0, "Moodspace", ece=2.0)
    first["clips"]["clip"]["live_per_s"] = 60.0
    del first["ratios"]
    return {
        "date": "2026-11-28 21:10 UTC", "machine": "a processor, 2 cores", "load": 0.1, "others_percent": 0.4,
        "seconds": 600, "commit": "abc", "rounds": 3, "data": [{"name": "a/set", "faces": 100, "total": 100}],
        "clips": [{"name": "clip", "width": 960, "height": 540, "frames": 40}],
        "peers": [first, peer("small one", 66.0, 0.5, "small"), peer("no short name", 60.0, 9.0),
                  ROW | {"name": "did not start", "short": "broken", "version": "", "failures": ["cold: exit 1"],
                         "ratios": {}}],
        "search": [{"name": "s", "version": "1", "build_ms": 3.0, "ms": {"1": 1.0, "8": 0.5, "32": 0.2}, "recall": 1.0,
                    "peak_mb": 90}],
        "map": [{"name": "m", "version": "1", "fit_s": 20.0, "first_place_s": 0.1, "place_ms": 1.0,
                 "place_many_ms": 0.1, "trustworthiness": 0.95, "knn_accuracy": 0.7,
                 "placed_accuracy": 0.6, "peak_mb": 400}],
    }  # fmt: skip


def tables(text: str) -> list[list[str]]:
    """Return the lines of each table of a Markdown text."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [one for one in found if one]


@pytest.mark.parametrize("make", [page_tables, readme_table])
def test_every_line_of_a_table_has_the_same_columns(make: Any, document: dict[str, Any]) -> None:
    found = tables(make(document))
    assert found
    for lines in found:
        assert len({line.count("|") for line in lines}) == 1


def test_the_best_figure_is_bold_and_a_package_that_is_ahead_is_named(document: dict[str, Any]) -> None:
    lines = {line.split(" | ")[0].strip("| "): line for line in tables(readme_table(document))[0]}
    assert lines["a/set: accuracy, %"] == "| a/set: accuracy, % | **73.0** | 66.0 |  |  |"
    assert lines["a/set: ECE, %"] == "| a/set: ECE, % | **2.0** | 5.0 |  |  |"  # lower is better
    assert lines["one face, ms"] == "| one face, ms | 2.0 | **0.50** |  | small |"
    assert lines["clip: frames/s"] == "| clip: frames/s | **30.0** | **30.0** |  |  |"  # a tie is nobody's lead
    assert "no short name" not in readme_table(document)


def test_where_another_package_is_ahead_is_said(document: dict[str, Any]) -> None:
    assert {(measure.title, row["name"]) for measure, row, _ in ahead(document)} == {
        (title, "small one") for title in ("one face, ms", "of 8 faces, ms each", "of 32 faces, ms each")
    }
    assert "- one face, ms: **small one** 0.50, Moodspace 2.0" in page_tables(document)
    alone = copy.deepcopy(document)
    alone["peers"] = alone["peers"][:1]
    assert "- nowhere in this run" in page_tables(alone)


def test_the_other_view_of_moodspace_is_no_other_package(document: dict[str, Any]) -> None:
    document["peers"].insert(1, peer("Moodspace, fer2013 view", 80.0, 0.1, "view"))
    assert all(row["name"] == "small one" for _, row, _ in ahead(document))


def test_ratios_live_frames_sizes_and_failures_are_shown(document: dict[str, Any]) -> None:
    text = page_tables(document)
    assert "| small one | 1.00 | 4.00 |" in text  # times as fast from the command, and for one face
    assert "| Moodspace | **30.0** |  | 4.00 | 60.0 |" in text and "| small one | **30.0** | 1.00 | 4.00 |  |" in text
    assert "| small one | 1 | MIT | 0.10 | 55.5 |  |" in text
    assert "- did not start: cold: exit 1" in text and "| did not start | did not run | MIT |" in text


def test_the_head_says_what_when_and_how_loud(document: dict[str, Any]) -> None:
    quiet = told(document)
    assert "load 0.1 before the run, 0.4 % of the processor used by other programs" in quiet
    assert "100 faces of `a/set`;" in quiet and "medians of 3 rounds" in quiet and "busy" not in quiet
    document |= {"others_percent": 40.0, "rounds": 1}
    document["data"][0]["total"] = 3589
    loud = told(document)
    assert "The machine was busy" in loud and "medians of 1 round," in loud
    assert "The machine was busy" in readme_table(document)
    assert "100 faces of `a/set` (of 3589, drawn at random with seed 0)" in loud


def test_figures_are_short() -> None:
    assert [cell(value) for value in (None, 0.384, 1.5, 12.34, 99.96, 416.4)] == [
        "",
        "0.38",
        "1.50",
        "12.3",
        "100.0",
        "416",
    ]
    assert cell(0.9512, 3) == "0.951"


def test_only_the_block_between_the_comments_changes(tmp_path: Path, document: dict[str, Any]) -> None:
    page, readme = tmp_path / "peers.md", tmp_path / "README.md"
    for path, name in ((page, "peers"), (readme, "comparison")):
        path.write_text(f"before\n\n{begin(name)}\n(as before)\n{end(name)}\n\nafter\n")
    write_tables(document, page, readme)
    once = page.read_text(), readme.read_text()
    write_tables(document, page, readme)
    assert once == (page.read_text(), readme.read_text())
    for text in once:
        assert text.startswith("before\n\n<!--") and text.endswith("-->\n\nafter\n") and "(as before)" not in text
        assert "Moodspace" in text


@pytest.mark.parametrize("text", ["", f"{begin('peers')}\n", f"{begin('peers')}\n{end('peers')}\n" * 2])
def test_comments_that_are_missing_or_double_are_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected the comments .* once each"):
        replace_block(text, "peers", "new")


def test_the_pages_are_in_step_with_the_figures_that_are_kept() -> None:
    kept = read_figures()
    for path, name, block in ((PAGE, "peers", page_tables(kept)), (README, "comparison", readme_table(kept))):
        text = path.read_text(encoding="utf-8")
        assert replace_block(text, name, block) == text, f"{path.name}: run python -m benchmarks peers --readme"


def test_the_figures_that_are_kept_are_of_every_package_and_name_no_folder() -> None:
    kept = read_figures()
    assert [row["name"] for row in kept["peers"]] == [peer["name"] for peer in settings()["peer"]]
    assert len(kept["data"]) == 2 and len(kept["clips"]) == 2 and kept["search"] and kept["map"]
    text = FIGURES.read_text(encoding="utf-8")
    assert not [folder for folder in ("/root", "/home", "/work/", "/tmp", str(Path.cwd())) if folder in text]


def test_how_each_package_was_used_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for one in settings()["peer"]:
        assert " ".join(one["used"].split()) in " ".join(text.split()), one["name"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected labelled faces, got none"),
        (["a.parquet", "--publish", "--only", "fer"], "--publish: expected a run of all packages"),
        (["a.parquet", "--publish"], "--publish: expected a run of all packages with a --clip"),
        (["nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", *words])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    last = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and expected in last


def test_the_tables_are_written_again_without_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[Any] = []
    monkeypatch.setattr(command, "write_tables", wrote.append)
    monkeypatch.setattr(sys, "argv", ["peers", "--readme"])
    assert command.main() == 0
    assert wrote == [json.loads(FIGURES.read_text(encoding="utf-8"))]
