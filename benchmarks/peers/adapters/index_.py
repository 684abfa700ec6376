"""Search in the vectors of a gallery or draw their map: `index_.py search|map INPUTS ENVIRONMENT METHOD`.

`vectors.f32` holds unit vectors; every tenth is left out and asked for. A map's coordinates go to `INPUTS/map.f32`, the
places of the vectors that were left out to `INPUTS/placed.f32`.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import SIZES, finish, timed_ms

task, inputs, method = sys.argv[1], Path(sys.argv[2]), sys.argv[4]
dim = json.loads((inputs / "vectors.json").read_text())["dim"]
vectors = np.fromfile(inputs / "vectors.f32", np.float32).reshape(-1, dim)
asked = np.arange(len(vectors)) % 10 == 0
stored, queries = np.ascontiguousarray(vectors[~asked]), np.ascontiguousarray(vectors[asked])
NEIGHBORS = 50


def version_of(name: str) -> str:
    """Return the version of what is measured."""
    if name == "moodspace":
        import moodspace

        return moodspace.__version__
    return version({"faiss": "faiss-cpu", "umap": "umap-learn"}.get(name, name))


answer: dict[str, object] = {"version": version_of(method)}


def moodspace_index() -> Any:
    """Return Moodspace's index of the stored vectors."""
    from moodspace.index.gallery import Gallery
    from moodspace.index.search import GalleryIndex

    n = len(stored)
    return GalleryIndex(Gallery(stored, np.arange(n), {}, {}, np.full(n, ""), np.zeros(n)))


def make_search() -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from `(n, d)` queries to the `(n, 50)` rows of their nearest neighbors."""
    if method == "scikit-learn":
        from sklearn.neighbors import NearestNeighbors

        index = NearestNeighbors(n_neighbors=NEIGHBORS, algorithm="brute", metric="cosine").fit(stored)
        return lambda rows: index.kneighbors(rows, return_distance=False)
    if method == "faiss":
        import faiss

        flat = faiss.IndexFlatIP(dim)
        flat.add(stored)
        return lambda rows: flat.search(rows, NEIGHBORS)[1]
    own = moodspace_index()
    return lambda rows: own.search(rows, NEIGHBORS).ids


def make_map() -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the coordinates of the stored vectors and a function that places `(n, d)` new ones."""
    if method == "umap":
        import umap

        reducer = umap.UMAP(metric="cosine").fit(stored)
        return reducer.embedding_, reducer.transform
    if method == "pacmap":
        import pacmap

        reducer = pacmap.PaCMAP(save_tree=True)
        return reducer.fit_transform(stored), lambda rows: reducer.transform(rows, basis=stored)
    from moodspace.classifier.map_positions import MAP_NEIGHBORS, map_positions
    from moodspace.viz.map.projection import project

    drawn, index = project(stored, seed=0), moodspace_index()

    def place(rows: np.ndarray) -> np.ndarray:
        found = index.search(rows, MAP_NEIGHBORS)
        return map_positions(found, index.rows(found.ids), drawn)

    return drawn, place


start = time.perf_counter()
if task == "search":
    search = make_search()
    answer["build_ms"] = 1000 * (time.perf_counter() - start)
    answer["ms"] = {n: timed_ms(lambda n=n: search(queries[:n])) / n for n in SIZES}
    exact = np.argsort(-(queries[:200] @ stored.T), axis=1, kind="stable")[:, :NEIGHBORS]
    same = [len(set(a) & set(b)) for a, b in zip(search(queries[:200]), exact, strict=True)]
    answer["recall"] = float(np.mean(same)) / NEIGHBORS
else:
    coordinates, place = make_map()
    answer["fit_s"] = time.perf_counter() - start
    start = time.perf_counter()
    place(queries[:1])
    answer["first_place_s"] = time.perf_counter() - start
    answer["place_ms"] = timed_ms(lambda: place(queries[1:2]))
    start = time.perf_counter()
    placed = place(queries)
    answer["place_many_ms"] = 1000 * (time.perf_counter() - start) / len(queries)
    np.ascontiguousarray(coordinates, np.float32).tofile(inputs / "map.f32")
    np.ascontiguousarray(placed, np.float32).tofile(inputs / "placed.f32")
finish(answer)
