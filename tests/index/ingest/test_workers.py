"""Tests of index/ingest/workers.py: several processes give the results of one, and an interruption loses little."""

import multiprocessing
import multiprocessing.popen_spawn_posix as spawn_posix
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.embeddings.encoder import EncoderError
from moodspace.index.ingest.read_faces import FaceCropper, crop_whole_picture
from moodspace.index.ingest.workers import ReadOptions, WorkerError, embed_in_processes, ignore_interrupts, start_worker
from tests.index.ingest.fake_bundles import BUNDLE
from tests.index.ingest.folder_sync import (
    check_same,
    embedded_here,
    paths_in,
    stopping,
    sync,
    taught_gallery,
    write_faces,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"), 18)


@pytest.fixture(scope="module")
def reading(shipped):
    return ReadOptions(load_bundle(shipped).encoder_spec, crops=True)


def test_a_reading_opens_what_it_names(shipped, reading):
    cutter, encoder = reading.open(threads=1)
    assert cutter is crop_whole_picture and encoder.dim
    cutter, _ = ReadOptions(load_bundle(shipped).encoder_spec, crops=False).open(threads=1)
    assert isinstance(cutter, FaceCropper)


def test_processes_make_the_same_of_files_in_order(folder, reading):
    paths = paths_in(folder)
    paths.insert(5, str(folder / "gone.png"))
    parts = list(embed_in_processes(paths, reading, 2, size=4))
    assert [len(part) for part in parts] == [4, 4, 4, 4, 3]
    check_same([one for part in parts for one in part], embedded_here(paths, reading))


def test_an_interrupted_sync_embeds_only_the_rest(folder, reading, tmp_path):
    with taught_gallery(tmp_path, reading) as gallery:
        with pytest.raises(KeyboardInterrupt):
            sync(gallery, folder, lambda paths: stopping(embed_in_processes(paths, reading, 2, size=4), after=2))
        assert len(gallery) == 8
        asked = []

        def embed(paths):
            asked.extend(paths)
            return [embedded_here(paths, reading)]

        report = sync(gallery, folder, embed)
        assert (report.added, report.unchanged, len(asked), len(gallery)) == (10, 8, 10, 18)
    assert not multiprocessing.active_children()


def tell_whether_deaf():
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    start_worker()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    raise SystemExit(blocked and ignored and not signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.mark.skipif(os.name == "nt", reason="signals are not inherited there")
def test_processes_never_hear_ctrl_c_not_even_as_they_start():
    heard = signal.getsignal(signal.SIGINT)
    spawn = multiprocessing.get_context("spawn")
    one, other = spawn.Process(target=tell_whether_deaf), spawn.Process(target=tell_whether_deaf)
    with ignore_interrupts():
        one.start()
    other.start()
    one.join()
    other.join()
    assert (one.exitcode, other.exitcode) == (True, False)
    assert signal.getsignal(signal.SIGINT) is heard and not signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(os.name == "nt", reason="signals are not inherited there")
def test_every_process_of_a_pool_starts_deaf(folder, reading, monkeypatch):
    heard, spawned = [], spawn_posix.Popen._launch

    def launch(self, process):
        heard.append(signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        spawned(self, process)

    monkeypatch.setattr(spawn_posix.Popen, "_launch", launch)
    assert len(list(embed_in_processes(paths_in(folder) * 4, reading, 3, size=4))) > 3
    assert heard and not any(heard)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a way to end a process as the system does")
def test_a_process_that_is_ended_is_told_of(folder, reading):
    parts = embed_in_processes(paths_in(folder) * 20, reading, 1, size=4)
    next(parts)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="expected 1 processes to keep running, but one ended"):
        list(parts)


def test_a_spec_travels_without_its_open_encoder_and_refuses_another_network(shipped, tmp_path):
    spec = load_bundle(shipped).encoder_spec
    sent = pickle.loads(pickle.dumps(spec))
    assert sent.opened is None and len(pickle.dumps(spec)) < 4000
    assert (sent.fingerprint, sent.dim, sent.model) == (spec.fingerprint, spec.dim, spec.model.resolve())
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    np.testing.assert_array_equal(sent.open().encode(crops).embeddings, spec.open().encode(crops).embeddings)
    with pytest.raises(EncoderError, match="another program replaced it"):
        replace(sent, sha256="0" * 64).open()
    fake = BUNDLE.encoder_spec
    assert fake.open() is BUNDLE.encoder and pickle.loads(pickle.dumps(fake)).open().dim == fake.dim
    with pytest.raises(EncoderError, match="expected an exported network or an open encoder"):
        replace(fake, opened=None).open()


KILLED = """
import multiprocessing, os, signal, sys
from pathlib import Path
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.index.ingest.workers import ReadOptions, embed_in_processes

if __name__ == "__main__":
    reading = ReadOptions(load_bundle(Path(sys.argv[1])).encoder_spec, crops=True)
    parts = embed_in_processes(sys.argv[2:] * 50, reading, 2, size=4)
    next(parts)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_processes_end_with_a_parent_that_is_killed(folder, shipped, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(shipped), *paths_in(folder)]
    surroundings = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings) as killed:
        pids = [int(one) for one in killed.stdout.readline().split()]
    assert len(pids) == 2
    end = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)
