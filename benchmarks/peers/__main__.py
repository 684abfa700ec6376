"""Run Moodspace and other packages on the same inputs in turn, and write a table of what each reads and costs.

    python -m benchmarks peers fer2013/validation.parquet --clip class.mp4
    make peers DATA=fer2013/validation.parquet CLIP=class.mp4

The packages take turns for several rounds, one process at a time; times are medians over the rounds. The first run
makes the environments (about 3 GB), which needs the package indexes of Python and npm.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.environments import command, make_environment, megabytes, settings
from benchmarks.results import git, machine
from moodspace.bundles import shipped_bundle
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.metrics import accuracy, ece, macro_f1
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.realtime.capture.decoder import Decoder
from moodspace.viz.map.quality import measure_quality

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
TASKS = ("cold", "faces", "clip")
MAX_FRAMES = 60
LIMIT_S = 900
# What the table shows of each package, and its headings.
COLUMNS = (
    ("accuracy", "accuracy, %"), ("macro_f1", "macro-F1, %"), ("ece", "ECE, %"), ("cold_s", "cold start, s"),
    ("ms_1", "one face, ms"), ("ms_8", "of 8, ms each"), ("ms_32", "of 32, ms each"),
    ("frames_per_s", "clip, frames/s"), ("faces_per_frame", "faces a frame"), ("cold_mb", "memory, MB"),
    ("installed_mb", "installed, MB"),
)  # fmt: skip
SIDES = (
    ("search", "moodspace", "moodspace"), ("search", "search", "scikit-learn"), ("search", "search", "faiss"),
    ("map", "moodspace", "moodspace"), ("map", "map", "umap"), ("map", "map", "pacmap"),
)  # fmt: skip


@dataclass(slots=True)
class Found:
    """What was measured of one package.

    Attributes:
        name: The package.
        answers: For each task the adapter's answers, one a round.
        seconds: For each task the seconds of each whole process.
        megabytes: For each task the largest peak of resident memory, in MB.
        installed_mb: The size of its environment in MB.
    """

    name: str
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    installed_mb: float = 0.0


def run_task(words: Sequence[str], limit_s: float = LIMIT_S) -> tuple[dict[str, Any], float, float]:
    """Run an adapter; return its answer, the seconds of its process and the peak of its memory in MB.

    Raises:
        RuntimeError: It failed, took too long or printed no answer.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        started = time.perf_counter()
        with subprocess.Popen(words, stdout=out, stderr=err, cwd=tempfile.gettempdir(), env=environment) as process:
            memory = 0.0
            while process.poll() is None:
                memory = max(memory, _peak_mb(process.pid))
                if time.perf_counter() - started > limit_s:
                    process.kill()
                    raise RuntimeError(f"{' '.join(words[1:3])}: took more than {limit_s:g} s")
                time.sleep(0.002)
            seconds = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        answers = [line for line in out.read().decode(errors="replace").splitlines() if line.startswith("ANSWER ")]
        if process.returncode or not answers:
            last = err.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"{' '.join(words[1:3])}: exit {process.returncode}, {''.join(last)}")
    return json.loads(answers[-1].removeprefix("ANSWER ")), seconds, memory


def _peak_mb(process: int) -> float:
    """Return the peak of a process's resident memory so far in MB, 0 where the system does not tell."""
    # The maximum that `wait4` reports would count the memory of this process, from which the other was forked.
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1e3 if found else 0.0


def write_inputs(folder: Path, crops: np.ndarray, clip: Path | None, vectors: np.ndarray) -> None:
    """Write the faces, the first frames of the clip and the gallery's vectors as plain arrays."""
    crops.tofile(folder / "crops.u8")
    vectors.astype(np.float32).tofile(folder / "vectors.f32")
    (folder / "vectors.json").write_text(json.dumps({"dim": vectors.shape[1]}))
    if clip is None:
        return
    with Decoder(clip) as decoder, (folder / "clip.rgb").open("wb") as file:
        shape, count = (0, 0), 0
        for frame in decoder:
            if count == MAX_FRAMES:
                break
            file.write(np.ascontiguousarray(frame.bgr[..., ::-1]).tobytes())
            shape, count = frame.bgr.shape[:2], count + 1
    (folder / "clip.json").write_text(json.dumps({"height": shape[0], "width": shape[1], "frames": count}))


def quality(answer: dict[str, Any], labels: np.ndarray) -> dict[str, float]:
    """Return accuracy, macro-F1 and ECE in percent, of probabilities put into the order of `CLASSES`."""
    proba = np.reshape(np.asarray(answer["proba"], float), (len(labels), -1))
    columns = [answer["classes"].index(name) for name in CLASSES]
    proba = proba[:, columns].clip(1e-9)
    proba /= proba.sum(axis=1, keepdims=True)
    said = proba.argmax(axis=1)
    return {
        "accuracy": 100 * accuracy(said, labels),
        "macro_f1": 100 * macro_f1(said, labels, len(CLASSES)),
        "ece": 100 * ece(proba, labels),
    }


def measure(wanted: dict[str, Any], inputs: Path, rounds: int, tasks: Sequence[str]) -> list[Found]:
    """Run every package `rounds` times, in turn."""
    folders = {peer["environment"]: None for peer in wanted["peer"]}
    environments = {name: make_environment(name, wanted["environment"][name]) for name in folders}
    found = [Found(peer["name"]) for peer in wanted["peer"]]
    for number in range(rounds):
        for task in tasks:
            for peer, one in zip(wanted["peer"], found, strict=True):
                folder = environments[peer["environment"]]
                words = command(peer["adapter"], task, inputs, folder, peer.get("words", []))
                try:
                    answer, seconds, memory = run_task(words)
                except RuntimeError as error:
                    print(f"{one.name}: {error}", file=sys.stderr, flush=True)
                    continue
                print(f"round {number + 1}, {task}, {one.name}: {seconds:.1f} s", file=sys.stderr, flush=True)
                one.answers.setdefault(task, []).append(answer)
                one.seconds.setdefault(task, []).append(seconds)
                one.megabytes[task] = max(memory, one.megabytes.get(task, 0))
    for peer, one in zip(wanted["peer"], found, strict=True):
        one.installed_mb = megabytes(environments[peer["environment"]])
    return found


def summary(found: Found, labels: np.ndarray, *, with_accuracy: bool) -> dict[str, Any]:
    """Return the figures of one package: medians over the rounds."""
    faces, clip = found.answers.get("faces", []), found.answers.get("clip", [])
    figures: dict[str, Any] = {"name": found.name, "installed_mb": round(found.installed_mb)}
    version = [answer["version"] for answers in found.answers.values() for answer in answers]
    figures["version"] = version[0] if version else "did not run"
    if faces and with_accuracy:
        figures |= {key: round(value, 1) for key, value in quality(faces[0], labels).items()}
    if found.seconds.get("cold"):
        figures["cold_s"] = round(statistics.median(found.seconds["cold"]), 2)
        figures["cold_mb"] = round(found.megabytes["cold"])
    if faces:
        figures |= {f"ms_{n}": round(statistics.median(one["ms"][n] for one in faces), 2) for n in ("1", "8", "32")}
    if clip:
        figures["frames_per_s"] = round(1000 / statistics.median(one["frame_ms"] for one in clip), 1)
        figures["faces_per_frame"] = round(clip[0]["faces_per_frame"], 2)
    return figures


def side_tables(wanted: dict[str, Any], inputs: Path, bundle: Bundle) -> dict[str, list[dict[str, Any]]]:
    """Measure search and map beside the packages that one would use for them alone."""
    tables: dict[str, list[dict[str, Any]]] = {"search": [], "map": []}
    gallery = bundle.index.gallery
    stored = np.arange(len(gallery.embeddings)) % 10 != 0
    labels = next(iter(gallery.labels.values()))[stored]
    for task, environment, method in SIDES:
        folder = make_environment(environment, wanted["environment"][environment])
        try:
            answer, _, memory = run_task(command("index_.py", task, inputs, folder, [method]))
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)
            continue
        print(f"{task}, {method}: done", file=sys.stderr, flush=True)
        row = {"name": method, "mb": round(memory)} | answer
        if task == "map":
            drawn = np.fromfile(inputs / "map.f32", np.float32).reshape(-1, 2)
            found = measure_quality(gallery.embeddings[stored], drawn, labels, seed=0)
            row |= {"trustworthiness": found.trustworthiness, "knn_accuracy": found.knn_accuracy_map}
        tables[task].append(row)
    return tables


def markdown(document: dict[str, Any]) -> str:
    """Return the figures as Markdown tables."""
    told = (
        f"{document['date']}, {document['machine']}, load {document['load']} to {document['load_after']}, "
        f"commit {document['commit']}. {document['faces']} faces of `{document['data']}`; medians of "
        f"{document['rounds']} rounds in turn."
    )
    faces = [(row["name"], row["version"], *(_cell(row.get(key)) for key, _ in COLUMNS)) for row in document["peers"]]
    search = [
        (row["name"], row["version"], *(_cell(row["ms"][n]) for n in ("1", "8", "32")), _cell(100 * row["recall"]))
        for row in document["search"]
    ]
    drawn = [
        (row["name"], row["version"], *(_cell(row[key]) for key in ("fit_s", "first_place_s", "place_ms")),
         _cell(row["trustworthiness"], 3), _cell(100 * row["knn_accuracy"]))
        for row in document["map"]
    ]  # fmt: skip
    parts = [told, _table(["", "version", *(title for _, title in COLUMNS)], faces)]
    if search:
        title = "Search for 50 neighbors in nine tenths of the shipped gallery, in ms a face:"
        parts += [title, _table(["", "version", "one", "8", "32", "recall, %"], search)]
    if drawn:
        title = "A map of the same vectors:"
        head = ["", "version", "fit, s", "first new face, s", "next, ms", "trustworthiness", "k-NN accuracy, %"]
        parts += [title, _table(head, drawn)]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: float | None, digits: int = 1) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" if value < 100 else f"{value:.0f}"


def main() -> int:
    """Read the arguments, run everything in turn, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="labelled faces of FER2013's seven classes")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--clip", type=Path, help="a video with faces")
    parser.add_argument("--limit", type=int, help="read only so many faces, drawn at random")
    parser.add_argument("--rounds", type=int, default=3, help="how often each package runs")
    parser.add_argument("--only", action="append", help="only packages whose name contains this; may be repeated")
    parser.add_argument("--no-sides", action="store_true", help="leave out search and map")
    parser.add_argument("--out", type=Path, help="write the tables to this Markdown file")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the tables")
    asked = parser.parse_args()
    wanted = settings()
    if asked.only:
        wanted["peer"] = [peer for peer in wanted["peer"] if any(name in peer["name"] for name in asked.only)]
    faces = read_labelled_faces(asked.data, split=asked.split)
    if set(faces.classes) != set(CLASSES):
        parser.error(f"{asked.data}: expected the classes {', '.join(CLASSES)}, got {', '.join(faces.classes)}")
    if asked.limit is not None and asked.limit < len(faces):
        faces = faces.take(np.sort(np.random.default_rng(0).choice(len(faces), asked.limit, replace=False)))
    labels = np.array([CLASSES.index(faces.classes[label]) for label in faces.labels])
    bundle = load_bundle(shipped_bundle())
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        write_inputs(inputs, faces.crops, asked.clip, bundle.index.gallery.embeddings)
        found = measure(wanted, inputs, asked.rounds, TASKS if asked.clip else TASKS[:2])
        sides = {"search": [], "map": []} if asked.no_sides else side_tables(wanted, inputs, bundle)
    document = {
        "date": datetime.now(UTC).date().isoformat(), "machine": machine(), "load": load,
        "load_after": round(os.getloadavg()[0], 1), "commit": git("rev-parse", "--short", "HEAD"),
        "data": asked.data.name, "faces": len(faces), "rounds": asked.rounds, **sides,
        "peers": [
            summary(one, labels, with_accuracy=peer.get("accuracy", True))
            for peer, one in zip(wanted["peer"], found, strict=True)
        ],
    }  # fmt: skip
    text = markdown(document)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    print(json.dumps(document) if asked.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
