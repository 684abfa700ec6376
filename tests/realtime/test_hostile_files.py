"""A thousand files that hold anything, from the folder to the gallery: each gives a face or a reason, none stops it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.index.ingest.read_faces import FaceCropper, crop_whole_picture, embed_files
from moodspace.index.taught.gallery import open_taught
from tests.fake_encoder import FakeEncoder
from tests.hostile_pictures import EITHER, KINDS, READ, REFUSED, write_hostile
from tests.index.interrupted_sync import sync

ROOT = Path(__file__).parents[2]
ENCODER = FakeEncoder()


def is_reason(text: str) -> bool:
    return text.startswith("expected") and text.isprintable()


def test_a_thousand_hostile_files_are_all_counted(tmp_path):
    expected = write_hostile(tmp_path / "faces" / "happy", 1000)
    counts = Counter(Path(path).name.rsplit("-", 1)[0] for path in expected)
    assert counts.keys() == KINDS.keys() and min(counts.values()) >= 40
    with open_taught(tmp_path / "gallery", encoder="fake", dim=ENCODER.dim) as gallery:
        report = sync(gallery, tmp_path / "faces", lambda paths: embed_files(paths, crop_whole_picture, ENCODER))
        (faces,) = gallery.rows()
        # Thin pictures of one colour have the same crop in files that differ.
        assert [problem for problem in gallery.verify() if "same crop" not in problem] == []
        again = []
        second = sync(gallery, tmp_path / "faces", lambda paths: again.extend(paths) or [])
    failed = {one.source: one.reason for one in report.failed}
    faces = set(map(str, faces.sources)) | {file.path for file, _ in report.duplicate}
    assert faces | failed.keys() == expected.keys() and not faces & failed.keys()
    assert report.added + len(report.duplicate) + len(report.failed) == 1000
    wrong = [path for path, outcome in expected.items() if (path in faces) != (outcome == READ) and outcome != EITHER]
    assert wrong == [] and [reason for reason in failed.values() if not is_reason(reason)] == []
    # None is read again, and all are told of again.
    assert (again, second.added, second.unchanged, len(second.failed)) == ([], 0, report.added, len(failed))


def test_hostile_files_with_a_real_detector(tmp_path):
    expected = write_hostile(tmp_path, 2 * len(KINDS), seed=1)
    cutter = FaceCropper(open_detector(working_sizes=(160,)), DEFAULT_GEOMETRY)
    outcomes = [one for part in embed_files(list(expected), cutter, ENCODER) for one in part]
    assert [one.path for one in outcomes] == list(expected)
    for one in outcomes:
        # A drawn face is a face to the detector or not; what cannot be read has no face for sure.
        assert one.embedding is None or expected[one.path] != REFUSED, one
        assert (one.embedding is None) == is_reason(one.reason) and one.lasting, one


READS_BOMBS = """
import resource, sys, time
from pathlib import Path
from embeddings.pictures import PictureError, read_rgb
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, started = peak(), time.process_time()
for path in sys.argv[1:]:
    try:
        read_rgb(Path(path))
        sys.exit(f"{path} was read")
    except PictureError:
        pass
unit = 1 if sys.platform == "darwin" else 1024
print((peak() - before) * unit / 1e6, time.process_time() - started)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is asked for in another way there")
@pytest.mark.parametrize("kind", ["bomb", "giant-tile", "header-of-a-giant"])
def test_a_bomb_is_refused_at_once_and_in_little_memory(tmp_path, kind):
    paths = [tmp_path / str(number) for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(KINDS[kind][0](np.random.default_rng(number)))
    done = subprocess.run([sys.executable, "-c", READS_BOMBS, *paths], cwd=ROOT, capture_output=True, text=True)
    # Nor does Pillow write its own warnings between the lines of whoever asked.
    assert (done.returncode, done.stderr) == (0, "")
    megabytes, seconds = map(float, done.stdout.split())
    # Unpacked, the least of them takes 100 MB and a second.
    assert megabytes < 30 and seconds < 2
