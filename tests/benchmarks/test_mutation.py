"""Tests of benchmarks/mutation: the copy that mutmut gets, the sample, and what is made of what it found."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.mutation import staging
from benchmarks.mutation.__main__ import (
    BAR,
    Change,
    change_of,
    equivalents,
    figures_of,
    function_of,
    interval,
    is_listed,
    missed,
    sample_of,
    statuses,
    text_of,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
DIFF = """# moodspace.classifier.metrics.x_ece__mutmut_3: survived
--- moodspace/classifier/metrics.py
+++ moodspace/classifier/metrics.py
@@ -1,4 +1,4 @@
 def ece(
-    total = weight + 1
+    total = weight - 1
     return total
"""


@pytest.mark.slow
def test_the_copy_is_a_package_in_one_folder(tmp_path: Path) -> None:
    staging.lay_out(tmp_path, "index")
    code = "import moodspace.index.gallery as one, moodspace.web.app; print(one.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "moodspace" / "index" / "gallery.py"), done.stderr
    written = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]
    assert written["mutmut"]["only_mutate"] == ["moodspace/index/*"]
    assert written["pytest"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]


def test_what_did_not_change_keeps_its_time_and_tests_are_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, target = tmp_path / "root", tmp_path / "stage"
    for name in ("moodspace/api.py", "index/search.py", "tests/index/test_search.py", *staging.BESIDE):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before")
    places = '[tool.setuptools.package-dir]\nmoodspace = "moodspace"\n"moodspace.index" = "index"\n'
    (root / "pyproject.toml").write_text(places + "[tool.pytest.ini_options]\nxfail_strict = true\n")
    monkeypatch.setattr(staging, "ROOT", root)
    staging.lay_out(target, "index")
    (target / "mutants" / "tests").mkdir(parents=True)
    code, test = target / "moodspace" / "index" / "search.py", root / "tests" / "index" / "test_search.py"
    written = code.stat().st_mtime_ns
    test.write_text("after")
    (root / "index" / "search.py").touch()
    staging.lay_out(target, "index")
    assert code.stat().st_mtime_ns == written
    assert (target / "mutants" / "tests" / "index" / "test_search.py").read_text() == "after"


def test_the_interval_is_that_of_wilson() -> None:
    assert interval(0, 0) == (0, 1)
    assert interval(85, 100) == pytest.approx((0.7672, 0.9069), abs=1e-4)
    low, high = interval(400, 400)
    assert high == 1 and low == pytest.approx(0.9905, abs=1e-4)


def test_the_sample_is_random_and_the_same_for_a_seed() -> None:
    names = [f"m.x_f__mutmut_{number}" for number in range(100)]
    assert sample_of(names, 10, 1) == sample_of(reversed(names), 10, 1) != sample_of(names, 10, 2)
    assert len(set(sample_of(names, 10, 1))) == 10
    assert sample_of(names, 1000, 1) == sorted(names)


def test_a_mutant_names_its_function() -> None:
    assert function_of("moodspace.classifier.metrics.x_ece__mutmut_3") == "classifier.metrics.ece"
    assert function_of("moodspace.index.search.xǁIndexǁadd__mutmut_12") == "index.search.Index.add"


def test_the_change_is_read_from_the_diff() -> None:
    change = change_of("moodspace.classifier.metrics.x_ece__mutmut_3", DIFF)
    assert (change.where, change.removed, change.added) == (
        "classifier.metrics.ece", "total = weight + 1", "total = weight - 1",
    )  # fmt: skip


def test_an_equivalent_change_is_listed_by_what_it_changes() -> None:
    change = Change(
        "moodspace.index.search.x_find__mutmut_3", 'raise ValueError("a [b]")', 'raise ValueError("XXa [b]XX")'
    )
    listed = {
        "where": "index.search.find",
        "removed": "raise ValueError(*",
        "added": 'raise ValueError("XX*',
        "reason": "",
    }
    assert is_listed(change, [listed])
    for name in ("where", "removed", "added"):
        assert not is_listed(change, [listed | {name: "other"}])


def test_every_listed_change_has_a_reason_and_a_place() -> None:
    for one in equivalents():
        assert set(one) == {"where", "removed", "added", "reason"} and len(one["reason"].split()) > 3
        module = one["where"].split(".")
        places = [ROOT.joinpath(*module[:end]).with_suffix(".py") for end in range(1, len(module))]
        packages = [ROOT.joinpath(*module[:end], "__init__.py") for end in range(1, len(module))]
        assert any(path.is_file() for path in (*places, *packages)), one["where"]


def test_figures_count_what_was_noticed() -> None:
    names = [f"moodspace.index.a.x_f__mutmut_{number}" for number in range(10)]
    sample = dict(zip(names, (1, 1, 3, -24, 0, 33, 5, None, 2, 1), strict=True))
    assert missed(sample) == names[4:7]
    changes = [Change(name, "a", str(number)) for number, name in enumerate(missed(sample))]
    listed = [{"where": "index.a.f", "removed": "a", "added": "0", "reason": "it is the same number"}]
    found = figures_of(sample, changes, 50, listed)
    assert (found.killed, found.pending, found.equivalent, found.untested, found.hung_or_crashed) == (5, 2, 1, 2, 1)
    assert found.share == 5 / 8 and found.share_without_equivalent == 5 / 7 < BAR
    assert [one.added for one in found.survivors] == ["1", "2"]
    text = text_of("index", found)
    assert "5 of 8 mutants killed, 62.5 %" in text and "2 of 10 have not been run" in text and "+ 2" in text


def test_the_statuses_are_those_that_mutmut_stored(tmp_path: Path) -> None:
    folder = tmp_path / "mutants" / "moodspace" / "index"
    folder.mkdir(parents=True)
    for name, codes in {"a.py.meta": {"one": 1, "two": None}, "b.py.meta": {"three": 0}}.items():
        (folder / name).write_text(json.dumps({"exit_code_by_key": codes}))
    assert statuses(tmp_path) == {"one": 1, "two": None, "three": 0}
    assert statuses(tmp_path / "elsewhere") == {}
