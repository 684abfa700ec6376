"""Tests of index/ingest/apply.py, with a dictionary as the gallery and a fake encoder."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from moodspace.index.ingest.apply import EmbeddedFile, apply_sync, planned
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FAILED, NONE, plan_sync

DIM = 4


class DictWriter:
    """Keeps files and faces by path; counts the transactions."""

    def __init__(self):
        self.files, self.faces, self.transactions = {}, {}, 0

    def record(self, files, embeddings, digests, pictures=None):
        self.transactions += 1
        faces = iter(zip(embeddings, digests, strict=True))
        for file in files:
            self.files[file.path] = file
            self.faces.pop(file.path, None)
            if file.status == FACES:
                self.faces[file.path] = (file.label, *next(faces))
        assert next(faces, None) is None

    def touch(self, files):
        self.transactions += 1
        self.files |= {file.path: file for file in files}

    def drop(self, paths):
        self.transactions += 1
        for path in paths:
            del self.files[path]
            self.faces.pop(path, None)


class Embed:
    """Read "broken", "empty" and "locked" files as such; count what is read, and stop in between if asked."""

    def __init__(self, size=2, stop_after=None):
        self.read, self.size, self.stop_after = [], size, stop_after

    def __call__(self, paths):
        for start in range(0, len(paths), self.size):
            if self.stop_after is not None and start >= self.stop_after:
                raise KeyboardInterrupt
            self.read += paths[start : start + self.size]
            yield [self.one(path) for path in paths[start : start + self.size]]

    def one(self, path):
        content = Path(path).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if content.startswith(b"broken"):
            return EmbeddedFile(path, sha256, reason="is broken", readable=False)
        if content.startswith(b"locked"):
            return EmbeddedFile(path, reason="is locked", readable=False, lasting=False)
        if content.startswith(b"empty"):
            return EmbeddedFile(path, sha256, reason="has no face")
        embedding = np.eye(DIM, dtype=np.float32)[len(content) % DIM]
        return EmbeddedFile(path, sha256, embedding, digest=sha256, others=content.count(b"&"))


@pytest.fixture
def root(tmp_path):
    for number, text in enumerate(["one", "two two", "three & four", "broken", "empty", "one"]):
        path = tmp_path / ("happy", "sad")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def sync(root, writer, embed=None, **options):
    return apply_plan(writer, plan_sync(root, writer.files, **options), embed)


def apply_plan(writer, plan, embed=None, progress=None):
    return apply_sync(writer, plan, (embed or Embed())([file.path for file in plan.to_embed]), DIM, progress)


def test_faces_come_in_and_the_rest_is_told(root):
    writer, calls = DictWriter(), []
    report = apply_plan(writer, plan_sync(root, {}), progress=lambda done, total: calls.append((done, total)))
    assert (report.added, report.changed, report.removed, report.unchanged, report.others) == (3, 0, 0, 0, 1)
    assert sorted((Path(one.source).name, one.reason) for one in report.failed) == [
        ("3.png", "is broken"), ("4.png", "has no face")]  # fmt: skip
    assert [(Path(file.path).name, Path(of).name) for file, of in report.duplicate] == [("5.png", "0.png")]
    assert {Path(path).name: face[0] for path, face in writer.faces.items()} == {
        "0.png": "happy", "2.png": "happy", "1.png": "sad"}  # fmt: skip
    assert {Path(path).name: file.status for path, file in writer.files.items()} == {
        "0.png": FACES, "1.png": FACES, "2.png": FACES, "3.png": FAILED, "4.png": NONE, "5.png": DUPLICATE}  # fmt: skip
    for path, (_, embedding, digest) in writer.faces.items():
        one = Embed().one(path)
        assert np.array_equal(embedding, one.embedding) and digest == one.digest == writer.files[path].sha256
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_a_second_run_reads_and_writes_nothing(root):
    writer, embed = DictWriter(), Embed()
    first = sync(root, writer)
    writer.transactions = 0
    second = sync(root, writer, embed)
    assert (second.added, second.unchanged, embed.read) == (0, 3, [])
    assert sorted(second.failed, key=str) == sorted(first.failed, key=str)
    assert second.duplicate and writer.transactions == 0


def test_changes_and_losses(root):
    writer = DictWriter()
    sync(root, writer)
    (root / "happy" / "2.png").write_text("mended to something longer")
    (root / "sad" / "1.png").unlink()
    (root / "sad" / "3.png").write_text("no longer broken, but whole")
    report = sync(root, writer)
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 1)
    assert {Path(path).name for path in writer.faces} == {"0.png", "2.png", "3.png"}
    (root / "happy" / "2.png").write_text("broken once more")
    report = sync(root, writer)
    assert (report.changed, {Path(path).name for path in writer.faces}) == (0, {"0.png", "3.png"})


def test_an_interrupted_run_goes_on(root):
    writer, embed = DictWriter(), Embed()
    with pytest.raises(KeyboardInterrupt):
        sync(root, writer, Embed(stop_after=2))
    assert len(writer.faces) == 2
    report = sync(root, writer, embed)
    assert (report.added, report.unchanged, len(embed.read)) == (1, 2, 3)


def test_what_could_not_be_opened_is_tried_again(root):
    path = root / "happy" / "0.png"
    path.write_text("locked")
    writer = DictWriter()
    assert "is locked" in [one.reason for one in sync(root, writer).failed]
    embed = Embed()
    sync(root, writer, embed)
    assert embed.read == [str(path)]


def test_copies_of_a_broken_file_are_broken(root):
    for name in ("a.png", "b.png"):
        (root / "sad" / name).write_text("broken")
    writer, embed = DictWriter(), Embed()
    report = sync(root, writer, embed)
    assert sum(one.reason == "is broken" for one in report.failed) == 3
    assert len([path for path in embed.read if Path(path).read_text() == "broken"]) == 1
    assert len(sync(root, writer, embed).failed) == 4 and len(embed.read) == 5


def test_full_reads_all_again(root):
    writer, embed = DictWriter(), Embed()
    sync(root, writer)
    report = sync(root, writer, embed, again=True)
    assert (report.changed, report.added, len(embed.read)) == (3, 0, 5)


def test_a_plan_says_what_will_be(root):
    plan = plan_sync(root, {})
    report = planned(plan)
    assert (report.added, len(report.duplicate), report.failed) == (5, 1, [])
