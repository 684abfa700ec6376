"""Tests of index/taught/sync_plan.py: which files are new, changed, removed, unchanged, duplicates, or not files."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

import moodspace.index.taught.sync_plan
from moodspace.embeddings.data.labelled import DataError
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FAILED, FORGOTTEN, NONE, plan_sync


@pytest.fixture
def root(tmp_path):
    """Six files in two classes, none of the same size."""
    for number in range(6):
        write(tmp_path / "data" / ("Happiness", "calm")[number % 2] / f"{number}.png", f"picture {'x' * number}")
    return tmp_path / "data"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def names(files) -> list[str]:
    return sorted(Path(getattr(file, "path", file)).name for file in files)


def done(plan, known=None, **status):
    """What a gallery knows once the plan is carried out; `status` by the file's stem, with "faces" for the rest."""
    known = {path: state for path, state in (known or {}).items() if path not in plan.removed}
    known |= {file.path: file for file in plan.touched}
    for file in plan.to_embed:
        outcome = status.get("f" + Path(file.path).stem, FACES)
        content = hashlib.sha256(Path(file.path).read_bytes()).hexdigest()
        known[file.path] = replace(file, sha256=content, status=outcome, reason="" if outcome == FACES else "why")
    for file, of in plan.duplicate:
        known[file.path] = replace(file, status=DUPLICATE, reason=f"as {of}")
    return known


def summary(plan):
    return {
        "new": names(plan.new), "changed": names(plan.changed), "removed": names(plan.removed),
        "touched": names(plan.touched), "unchanged": plan.unchanged, "forgotten": plan.forgotten,
        "duplicate": sorted((Path(file.path).name, Path(of).name) for file, of in plan.duplicate),
        "failed": sorted(Path(one.source).name for one in plan.failed),
    }  # fmt: skip


def expect(plan, **wanted):
    nothing = {name: [] for name in ("new", "changed", "removed", "touched", "duplicate", "failed")}
    nothing |= {"unchanged": 0, "forgotten": 0}
    assert summary(plan) == nothing | wanted


def later(path, seconds=5):
    stat = os.stat(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + int(seconds * 1e9)))


def test_all_is_new_at_first_with_canonical_labels(root):
    plan = plan_sync(root, {})
    expect(plan, new=[f"{number}.png" for number in range(6)])
    assert [file.label for file in plan.new] == ["happy"] * 3 + ["calm"] * 3
    assert all(Path(file.path).is_absolute() and file.sha256 == "" for file in plan.new)


def test_nothing_is_to_do_the_second_time(root):
    expect(plan_sync(root, done(plan_sync(root, {}))), unchanged=6)


def test_nothing_is_read_where_size_and_time_agree(root, monkeypatch):
    known = done(plan_sync(root, {}))
    monkeypatch.setattr(moodspace.index.taught.sync_plan, "_sha256", lambda path: pytest.fail(f"read {path}"))
    expect(plan_sync(root, known), unchanged=6)


def test_new_changed_removed(root):
    known = done(plan_sync(root, {}))
    write(root / "calm" / "9.png", "a new one, of another size")
    (root / "Happiness" / "0.png").unlink()
    write(root / "calm" / "1.png", "other and longer content")
    same_size = root / "calm" / "3.png"
    write(same_size, "p" * same_size.stat().st_size)
    later(same_size)
    plan = plan_sync(root, known)
    expect(plan, new=["9.png"], changed=["1.png", "3.png"], removed=["0.png"], unchanged=3)
    expect(plan_sync(root, done(plan, known)), unchanged=6)


def test_the_same_content_under_another_time_is_not_embedded_again(root):
    known = done(plan_sync(root, {}))
    later(root / "calm" / "1.png")
    plan = plan_sync(root, known)
    expect(plan, touched=["1.png"], unchanged=6)
    expect(plan_sync(root, done(plan, known)), unchanged=6)


def test_a_moved_file_is_labelled_anew(root):
    known = done(plan_sync(root, {}))
    (root / "calm" / "1.png").rename(root / "Happiness" / "1.png")
    plan = plan_sync(root, known)
    expect(plan, new=["1.png"], removed=["1.png"], unchanged=5)
    assert plan.new[0].label == "happy"


def test_duplicates_are_told_and_not_embedded(root):
    write(root / "calm" / "copy.png", "picture ")
    plan = plan_sync(root, {})
    expect(plan, new=[f"{number}.png" for number in range(6)], duplicate=[("copy.png", "0.png")])
    known = done(plan)
    expect(plan_sync(root, known), unchanged=6, duplicate=[("copy.png", "0.png")])
    write(root / "Happiness" / "second.png", "picture ")
    wanted = [("copy.png", "0.png"), ("second.png", "0.png")]
    expect(plan_sync(root, known), unchanged=6, duplicate=wanted)


def test_a_duplicate_takes_the_place_of_one_that_is_gone(root):
    write(root / "calm" / "copy.png", "picture ")
    known = done(plan_sync(root, {}))
    (root / "Happiness" / "0.png").unlink()
    plan = plan_sync(root, known)
    expect(plan, new=["copy.png"], removed=["0.png"], unchanged=5)
    expect(plan_sync(root, done(plan, known)), unchanged=6)


def test_a_duplicate_of_another_folders_file(root, tmp_path):
    known = done(plan_sync(root, {}))
    write(tmp_path / "more" / "sad" / "a.png", "picture ")
    plan = plan_sync(tmp_path / "more", {}, known.values())
    expect(plan, duplicate=[("a.png", "0.png")])


def test_what_failed_is_told_again_and_not_tried_again(root):
    known = done(plan_sync(root, {}), f0=FAILED, f1=NONE)
    plan = plan_sync(root, known)
    expect(plan, unchanged=4, failed=["0.png", "1.png"])
    assert {one.reason for one in plan.failed} == {"why"}
    write(root / "Happiness" / "0.png", "mended, so that it can be read")
    expect(plan_sync(root, known), new=["0.png"], unchanged=4, failed=["1.png"])


def test_what_was_forgotten_stays_out(root):
    known = done(plan_sync(root, {}), f0=NONE)
    path = str(root / "Happiness" / "0.png")
    known[path] = replace(known[path], reason=FORGOTTEN)
    expect(plan_sync(root, known), unchanged=5, forgotten=1)
    expect(plan_sync(root, known, again=True), forgotten=1, changed=[f"{number}.png" for number in range(1, 6)])
    write(root / "Happiness" / "0.png", "another picture")
    expect(plan_sync(root, known), new=["0.png"], unchanged=5)


def test_again_takes_all_anew(root):
    known = done(plan_sync(root, {}), f0=FAILED)
    plan = plan_sync(root, known, again=True)
    expect(plan, new=["0.png"], changed=[f"{number}.png" for number in range(1, 6)])


def test_splits_and_wrapping_folders(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path / "images" / split / "sad" / f"{split}.png", split)
    plan = plan_sync(tmp_path, {})
    expect(plan, new=["train.png", "validation.png"])
    assert {file.label for file in plan.new} == {"sad"}


def test_what_is_no_file_is_told(root):
    (root / "calm" / "inner").mkdir()
    (root / "calm" / "nowhere.png").symlink_to(root / "gone.png")
    (root / "calm" / ".hidden.png").write_text("hidden")
    (root / "calm" / "Thumbs.db").write_text("clutter")
    plan = plan_sync(root, {})
    expect(plan, new=[f"{number}.png" for number in range(6)], failed=["inner", "nowhere.png"])
    assert all(one.reason.startswith("expected a picture") for one in plan.failed)


def test_a_folder_that_is_none_or_has_no_classes(tmp_path):
    (tmp_path / "empty").mkdir()
    # Nothing leaves the gallery because a disk is not mounted.
    for folder in ("gone", "empty"):
        with pytest.raises(DataError, match=rf"{folder}: expected a? ?folders? .*, got"):
            plan_sync(tmp_path / folder, {})


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_names_that_are_no_text_are_told_and_the_rest_goes_on(root):
    for path in (b"Happiness/\xff.png", b"\xfe/1.png"):
        named = os.path.join(os.fsencode(root), path)
        try:
            os.makedirs(os.path.dirname(named), exist_ok=True)
            with open(named, "wb") as file:
                file.write(b"picture")
        except OSError:
            pytest.skip("this file system takes no such names")
    found, failed = moodspace.index.taught.sync_plan.scan(root)
    assert len(found) == 6
    assert sorted(Path(one.source).name for one in failed) == ["\\xfe", "\\xff.png"]
    assert all("rename it" in one.reason and one.source.encode() for one in failed)


@pytest.mark.parametrize("place", ["fer2013.csv", "train.csv", "train.parquet", "default/train/0000.parquet"])
def test_tables_are_refused_by_name(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(b"")
    with pytest.raises(
        DataError, match=f"expected pictures in folders named after classes, got a table, .*{place[-7:]}"
    ):
        plan_sync(tmp_path, {})
