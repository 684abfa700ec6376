"""The benchmarks as one tool: the list, runs that keep their figures, and the page over time."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from benchmarks import __main__ as tool
from benchmarks.results import (
    FOLDER,
    ROOT,
    Run,
    append_run,
    benchmark_modules,
    figures,
    module_name,
    read_runs,
    run_before,
    runs_of_inputs,
    told,
)
from benchmarks.results_page import results_page


def run(name: str = "cost", at: int = 1, **figures: float) -> Run:
    return Run(f"2026-11-0{at}T10:00:00+00:00", "abc1234", False, "a processor", 0.5, name, ["--json"], 2.0, 0, figures,
               "printed <this>")  # fmt: skip


def test_the_list_has_every_benchmark_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == list(tool.benchmarks()) and any(line.startswith("speed: ") for line in lines)
    assert "__main__" not in tool.benchmarks() and all(len(line.split()) > 4 for line in lines)


def test_a_benchmark_is_found_in_its_folder_by_its_name() -> None:
    modules = benchmark_modules()
    assert module_name(modules["cost"]) == "benchmarks.speed.cost"
    assert module_name(modules["peers"]) == "benchmarks.peers.__main__"
    tool_files = {"__init__.py", "__main__.py", "results.py", "results_page.py"}
    assert {path.name for path in FOLDER.glob("*.py")} == tool_files, "expected each benchmark in a folder"


def test_texts_name_benchmarks_by_the_form_of_the_tool() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    texts = {name: (ROOT / name).read_text("utf-8") for name in listed
             if name.endswith((".py", ".md", ".toml", "Makefile", ".ci/run")) and (ROOT / name).is_file()}  # fmt: skip
    if not texts:
        pytest.skip("needs a checkout")
    wanted = {"list", "all", "page", "NAME", *benchmark_modules()}
    for name, text in texts.items():
        for word in re.findall(r"-m\sbenchmarks\b\s*([\w.]*)", text):
            assert word in wanted or (not word.startswith(".") and word != "run"), f"{name}: -m benchmarks {word}"


def test_each_line_of_runs_toml_is_a_benchmark_and_takes_known_inputs() -> None:
    written = tomllib.loads((FOLDER / "runs.toml").read_text())
    assert set(written) <= set(tool.benchmarks())
    inputs = dict.fromkeys((*tool.INPUTS, "bundle"), "X")
    assert all(isinstance(words, list) and "{" not in "".join(words) for words in runs_of_inputs(inputs).values())


def test_what_lacks_an_input_names_it() -> None:
    found = runs_of_inputs({"faces": None, "train": "t", "clip": "c", "bundle": "b"})
    assert found["corruptions"] == "faces" and found["memory"] == ["c", "--bundle", "b"]


def test_figures_are_the_numbers_of_the_printed_json() -> None:
    one = {"met": True, "cost": [{"faces": 1, "ms": 2.5}, {"faces": 8, "ms": 1}], "of": {"a": [3, 4]}, "text": "x"}
    expected = {"cost.1.faces": 1, "cost.1.ms": 2.5, "cost.8.faces": 8, "cost.8.ms": 1, "of.a.0": 3, "of.a.1": 4}
    assert figures(json.dumps(one, indent=2)) == expected
    assert figures('told first\n{"a": 1}\n{"a": 2}\n{broken') == {"0.a": 1, "1.a": 2}
    assert figures("12 faces\n") == {}
    lines = ({"name": name, "points": [{"at": 0.5, "ms": 3}]} for name in ("a", "b"))
    assert figures("\n".join(map(json.dumps, lines))) == {
        "a.points.0.5.at": 0.5, "a.points.0.5.ms": 3, "b.points.0.5.at": 0.5, "b.points.0.5.ms": 3
    }  # fmt: skip


def test_a_run_is_kept_with_its_figures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "kept" / "results.jsonl"
    words = ["--results", str(results), "gallery_scale", "--faces", "300", "--json"]
    for _ in range(2):
        assert tool.main(words) in (0, 1)  # 1 stands for a missed target
    printed = capfd.readouterr()
    assert "figures kept in" in printed.err
    first, second = read_runs(results)
    assert first.name == "gallery_scale" and first.arguments[-1] == "--json" and first.figures and first.seconds > 0
    assert set(first.figures) == set(second.figures)


def test_figures_are_told_with_their_change_since_the_last_like_run() -> None:
    old, other, new = run(at=1, ms=4.0), run("sync", ms=1.0), run(at=2, ms=3.0, mb=7.0)
    assert run_before([old, other], new) is old and run_before([other], new) is None
    assert told(new, old).splitlines() == ["ms           3  -25.0 %", "mb           7"]


def test_a_benchmark_is_shown_as_figures_or_as_its_documents(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, curves = tmp_path / "results.jsonl", tmp_path / "growth.jsonl"
    curves.write_text(json.dumps({"name": "a", "x": "x", "y": "ms", "label": "ms", "points": [{"at": 1, "ms": 3.5}]}))
    words = ["--results", str(results), "growth", "--read", str(curves)]
    assert tool.main(words) == 0 and tool.main(words) == 0
    printed = capfd.readouterr()
    assert "points.1.ms         3.5  +0.0 %" in printed.out and "{" not in printed.out
    assert printed.err.splitlines()[-1].endswith(f"2 figures kept in {results}")
    assert tool.main([*words, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["points"] == [{"at": 1, "ms": 3.5}]
    monkeypatch.setattr(tool, "append_run", lambda path, run: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert tool.main(words) == 1 and "expected a file that can be written" in capfd.readouterr().err


def test_the_page_draws_each_figure_over_time(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    for at, ms in ((1, 4.0), (2, 3.0)):
        append_run(results, run(at=at, ms=ms))
    append_run(results, run("sync"))
    assert tool.main(["--results", str(results), "page", "--out", str(tmp_path / "page.html")]) == 0
    drawn = (tmp_path / "page.html").read_text()
    assert (
        "-25.0 %" in drawn
        and drawn.count("<section") == 2
        and "3 runs of 2 benchmarks" in drawn
        and drawn.count("<svg") == 1
    )
    assert "printed &lt;this&gt;" in drawn


def test_results_of_other_machines_are_not_compared() -> None:
    here, there = run(ms=1), Run(**{field: getattr(run(ms=9), field) for field in Run.__slots__} | {"machine": "other"})
    assert results_page([here, there]).count("<section") == 2


def test_broken_results_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    append_run(results, run())
    results.write_text(results.read_text() + "{}\n")
    assert tool.main(["--results", str(results), "page", "--out", str(tmp_path / "page.html")]) == 1
    assert capsys.readouterr().err == f"{results}: expected a run in each line, got another in line 2\n"
    assert tool.main(["--results", str(tmp_path / "none"), "page"]) == 1


def test_the_name_of_a_benchmark_alone_runs_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    assert tool.main(["soak", "--help"]) == 0
    assert "1440" in capfd.readouterr().out and not results.exists()
