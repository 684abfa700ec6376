"""Run Moodspace and other packages on the same inputs in turn, and write tables of what each reads and costs.

    python -m benchmarks peers fer2013/validation.parquet natural7/validation.parquet --clip class.mp4 --clip one.mp4
    make peers DATA="fer2013/validation.parquet natural7/validation.parquet" CLIP="class.mp4 one.mp4"
    python -m benchmarks peers --readme

The packages take turns for several rounds, one process at a time. Each labels all faces once; what a package read in
the run that is published counts as long as the package, its adapter and the faces are the same. The first run makes the
environments (about 4 GB), which needs the package indexes of Python and npm. `--publish`, as `make peers` does, keeps
the figures in benchmarks/peers/figures.json and writes the tables of docs/peers.md and README.md; `--readme` writes the
tables again from the figures that are kept.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.environments import PLACE, command, make_environments, megabytes, settings
from benchmarks.peers.figures import (
    FIGURES,
    costs,
    map_figures,
    quality,
    quality_key,
    read_figures,
    search_figures,
)
from benchmarks.peers.inputs import LabelledSet, read_set, write_inputs
from benchmarks.peers.networks import network_figures
from benchmarks.peers.tables import Row, page_tables, write_tables
from benchmarks.peers.turns import Found, Others, take_turns
from benchmarks.results import git, machine
from moodspace.bundles import shipped_bundle
from moodspace.classifier.bundle.bundle import Bundle, load_bundle

# Task, environment, method.
SIDES = (
    ("search", "moodspace", "moodspace"),
    ("search", "search", "scikit-learn"),
    ("search", "search", "faiss"),
    ("map", "moodspace_map", "moodspace"),
    ("map", "map", "umap"),
    ("map", "map", "pacmap"),
)
NAMES = {"moodspace": "Moodspace", "faiss": "FAISS, IndexFlatIP", "scikit-learn": "scikit-learn, brute force",
         "umap": "umap-learn", "pacmap": "PaCMAP"}  # fmt: skip


def label_all(
    wanted: dict[str, Any],
    environments: dict[str, Path],
    inputs: Path,
    sets: Sequence[LabelledSet],
    found: dict[str, Found],
    kept: dict[str, Row],
) -> dict[str, Row]:
    """Let every package label all faces once, or take what it read in an earlier run; return its quality and key."""
    read: dict[str, Row] = {}
    for peer in wanted["peer"]:
        if not peer.get("accuracy", True):
            continue
        name, key = peer["name"], quality_key(peer, wanted["environment"][peer["environment"]], sets)
        old = kept.get(name, {})
        if key and old.get("quality_key") == key:
            read[name] = {"quality": old["quality"], "quality_key": key, "version": old["version"]}
            continue
        one = found[name]
        words = command(peer["adapter"], "label", inputs, environments[peer["environment"]], peer.get("words", []))
        one.run("label", words)
        for answer in one.done("label"):
            read[name] = {"quality": quality(answer, sets), "quality_key": key, "version": one.version}
    return read


def sides(environments: dict[str, Path], inputs: Path, bundle: Bundle, rounds: int) -> dict[str, list[Row]]:
    """Measure search and map beside the packages that one would use for them alone."""
    tables: dict[str, list[Row]] = {"search": [], "map": []}
    gallery = bundle.index.gallery
    labels = next(iter(gallery.labels.values()))
    found = {side: Found(NAMES[side[2]]) for side in SIDES}
    for number in range(rounds):
        for side in SIDES:
            task, environment, method = side
            if task == "search" or number == 0:
                found[side].run(task, command("index_.py", task, inputs, environments[environment], [method]))
            if task == "map" and number == 0 and found[side].done("map"):
                tables["map"].append(map_figures(found[side], inputs, gallery.embeddings, labels))
    tables["search"] = [search_figures(one) for one in found.values() if one.done("search")]
    return tables


def compare(asked: argparse.Namespace, sets: Sequence[LabelledSet]) -> dict[str, Any]:
    """Run everything in turn; return the figures."""
    wanted = settings()
    if asked.only:
        wanted["peer"] = [peer for peer in wanted["peer"] if any(name in peer["name"] for name in asked.only)]
    place = asked.environments.absolute()
    names = {peer["environment"]: None for peer in wanted["peer"]}
    names |= {} if asked.no_sides else {environment: None for _, environment, _ in SIDES}
    environments = make_environments({name: wanted["environment"][name] for name in names}, place)
    bundle = load_bundle(shipped_bundle())
    kept = {} if asked.again else {row["name"]: row for row in read_figures()["peers"]}
    load, others, started = round(os.getloadavg()[0], 2), Others(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        crops = np.concatenate([one.crops for one in sets])
        clips = write_inputs(inputs, crops, asked.clip, bundle.index.gallery.embeddings, asked.frames)
        found = take_turns(wanted["peer"], environments, inputs, asked.rounds, ("cold", "time"))
        read = label_all(wanted, environments, inputs, sets, found, kept)
        beside = {"search": [], "map": []} if asked.no_sides else sides(environments, inputs, bundle, asked.rounds)
    peers = []
    for peer in wanted["peer"]:
        one, environment = found[peer["name"]], environments[peer["environment"]]
        peers.append({
            "name": peer["name"], "short": peer.get("short", ""), "license": peer["license"], "version": one.version,
            "installed_mb": round(megabytes(environment)), **network_figures(peer, environment),
            **costs(one, found[wanted["peer"][0]["name"]]), "failures": one.failures, **read.get(peer["name"], {}),
        })  # fmt: skip
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "machine": machine(), "load": load,
        "others_percent": others.percent(), "seconds": round(time.perf_counter() - started),
        "commit": git("rev-parse", "--short", "HEAD"), "rounds": asked.rounds,
        "data": [{"name": one.name, "faces": len(one.labels), "total": one.total} for one in sets],
        "clips": clips, "peers": peers, **beside,
    }  # fmt: skip


def main() -> int:
    """Read the arguments, run everything in turn, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="*", help="one or more sets of labelled faces of FER2013's classes")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a video with faces; may be repeated")
    parser.add_argument("--limit", type=int, help="maximum number of faces of each set, drawn at random")
    parser.add_argument("--frames", type=int, default=40, help="maximum number of frames of each clip, from its start")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--only", action="append", help="only packages whose name contains this; may be repeated")
    parser.add_argument("--no-sides", action="store_true", help="leave out search and map")
    parser.add_argument("--again", action="store_true", help="let every package label all faces again")
    parser.add_argument("--environments", type=Path, default=PLACE, help="the folder of the packages' environments")
    parser.add_argument("--publish", action="store_true", help="keep the figures and write the tables of the docs")
    parser.add_argument("--readme", action="store_true", help="only write the tables again, from the figures kept")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the tables")
    asked = parser.parse_args()
    if asked.readme:
        write_tables(read_figures())
        return 0
    if not asked.data:
        parser.error("expected labelled faces, got none; name a file, such as fer2013/validation.parquet")
    if asked.publish and (asked.only or asked.no_sides or not asked.clip):
        parser.error("--publish: expected a run of all packages with a --clip, search and map, got a part of it")
    try:
        sets = [read_set(path, split=asked.split, limit=asked.limit) for path in asked.data]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    document = compare(asked, sets)
    if asked.publish:
        FIGURES.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_tables(document)
    print(json.dumps(document) if asked.json else page_tables(document))
    print(f"took {document['seconds']} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
