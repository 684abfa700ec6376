"""The figures of a comparison, from what the adapters answered: quality, medians, ratios, search and map."""

import hashlib
import json
import statistics
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.environments import HERE
from benchmarks.peers.inputs import CLASSES, LabelledSet
from benchmarks.peers.turns import Found
from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.metrics import accuracy, ece, macro_f1
from moodspace.viz.map.quality import measure_quality

FIGURES = HERE / "figures.json"
# How many neighbors on the map name the class of a face that was placed on it.
ON_MAP = 15


def quality(answer: dict[str, Any], sets: Sequence[LabelledSet]) -> dict[str, dict[str, float]]:
    """Return for each set accuracy, macro-F1 and ECE in percent.

    Args:
        answer: The adapter's classes, and its probabilities of the faces of all sets, one set after the other.
        sets: The labelled sets.
    """
    total = sum(len(one.labels) for one in sets)
    proba = np.reshape(np.asarray(answer["proba"], float), (total, -1))
    proba = proba[:, [answer["classes"].index(name) for name in CLASSES]].clip(1e-9)
    proba /= proba.sum(axis=1, keepdims=True)
    found, at = {}, 0
    for one in sets:
        part = proba[at : at + len(one.labels)]
        at += len(one.labels)
        said = part.argmax(axis=1)
        found[one.name] = {
            "accuracy": round(100 * accuracy(said, one.labels), 2),
            "macro_f1": round(100 * macro_f1(said, one.labels, len(CLASSES)), 2),
            "ece": round(100 * ece(part, one.labels), 2),
        }
    return found


def quality_key(peer: dict[str, Any], environment: dict[str, Any], sets: Sequence[LabelledSet]) -> str:
    """Return a digest of what a package's quality rests on: package, adapter and faces.

    A checkout of Moodspace has no key: it may change from run to run.
    """
    if environment["kind"] == "wheel":
        return ""
    script = (HERE / "adapters" / peer["adapter"]).read_text(encoding="utf-8")
    rests_on = [script, json.dumps(environment, sort_keys=True), *peer.get("words", []), *(s.digest for s in sets)]
    return hashlib.sha256("\n".join(rests_on).encode()).hexdigest()[:16]


def costs(found: Found, first: Found) -> dict[str, Any]:
    """Return what a package costs: medians over the rounds, and how they stand to those of the first package.

    A ratio is the median, over the rounds, of how many times as fast as the first package it was.
    """
    figures: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    cold, timed = found.done("cold"), found.done("time")
    if cold:
        figures["cold_s"] = _median([one for one in found.seconds["cold"] if one is not None])
        _put_ratio(ratios, "cold_s", first.seconds.get("cold", []), found.seconds["cold"])
    if timed:
        figures["peak_mb"] = round(max(one["peak_mb"] for one in timed))
        figures["ms"], figures["clips"] = {}, {}
        for n in timed[0]["ms"]:
            figures["ms"][n] = _median([one["ms"][n] for one in timed])
            _put_ratio(ratios, f"ms.{n}", _times(first, "ms", n), _times(found, "ms", n))
        for clip, told in timed[0]["clips"].items():
            milliseconds = [one["clips"][clip]["frame_ms"] for one in timed]
            figures["clips"][clip] = {"frames_per_s": _rate(milliseconds), "faces": round(told["faces"], 2)}
            if "live_ms" in told:
                live = [one["clips"][clip]["live_ms"] for one in timed]
                figures["clips"][clip] |= {"live_per_s": _rate(live), "live_faces": round(told["live_faces"], 2)}
            path = "clips", clip, "frame_ms"
            _put_ratio(ratios, f"clips.{clip}", _times(first, *path), _times(found, *path))
    if found is not first:
        figures["ratios"] = ratios
    return figures


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def _rate(milliseconds: Sequence[float]) -> float:
    return round(1000 / statistics.median(milliseconds), 2)


def _times(found: Found, *path: str) -> list[float | None]:
    """Return the figure below a path of keys in each round's answer, None where the package failed."""
    answers: list[Any] = found.answers.get("time", [])
    return [None if one is None else float(reduce(getitem, path, one)) for one in answers]


def _put_ratio(
    ratios: dict[str, float], name: str, first: Sequence[float | None], other: Sequence[float | None]
) -> None:
    both = [a / b for a, b in zip(first, other, strict=False) if a is not None and b]
    if both:
        ratios[name] = _median(both)


def search_figures(found: Found) -> dict[str, Any]:
    """Return what a search costs, in medians over the rounds, and its recall."""
    done = found.done("search")
    return {
        "name": found.name,
        "version": found.version,
        "build_ms": _median([one["build_ms"] for one in done]),
        "ms": {n: _median([one["ms"][n] for one in done]) for n in done[0]["ms"]},
        "recall": done[0]["recall"],
        "peak_mb": round(max(one["peak_mb"] for one in done)),
    }


def map_figures(found: Found, inputs: Path, vectors: FloatArray, labels: IntArray) -> dict[str, Any]:
    """Return what a map costs and how well it preserves the neighborhoods of the vectors that it was made from.

    Args:
        found: The package that drew it.
        inputs: The folder with its coordinates.
        vectors: `(n, d)` float32, all vectors of the gallery; every tenth was not drawn but placed.
        labels: `(n,)`, their classes.
    """
    answer = found.done("map")[0]
    placed = np.arange(len(vectors)) % 10 == 0
    drawn = np.fromfile(inputs / "map.f32", np.float32).reshape(-1, 2)
    measured = measure_quality(vectors[~placed], drawn, labels[~placed], seed=0)
    there = np.fromfile(inputs / "placed.f32", np.float32).reshape(-1, 2)
    return {
        "name": found.name,
        "version": found.version,
        **{name: round(answer[name], 3) for name in ("fit_s", "first_place_s", "place_ms", "place_many_ms")},
        "trustworthiness": measured.trustworthiness,
        "knn_accuracy": measured.knn_accuracy_map,
        "placed_accuracy": placed_accuracy(drawn, labels[~placed], there, labels[placed]),
        "peak_mb": round(answer["peak_mb"]),
    }


def placed_accuracy(drawn: FloatArray, labels: IntArray, placed: FloatArray, expected: npt.NDArray[np.int64]) -> float:
    """Return how often the most frequent class among the nearest faces on the map is that of a face placed there."""
    from sklearn.neighbors import KNeighborsClassifier

    return float(KNeighborsClassifier(ON_MAP).fit(drawn, labels).score(placed, expected))


def read_figures(path: Path = FIGURES) -> dict[str, Any]:
    """Return the figures of the published run; without packages where there is none."""
    if not path.exists():
        return {"peers": []}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
