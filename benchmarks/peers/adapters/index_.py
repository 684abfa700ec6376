"""Search in the vectors of a gallery or draw their map: `index_.py search|map INPUTS ENVIRONMENT METHOD`.

`vectors.f32` holds unit vectors; every tenth is left out and asked for. A map's coordinates go to `INPUTS/map.f32`.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import timed_ms

task, inputs, method = sys.argv[1], Path(sys.argv[2]), sys.argv[4]
dim = json.loads((inputs / "vectors.json").read_text())["dim"]
vectors = np.fromfile(inputs / "vectors.f32", np.float32).reshape(-1, dim)
asked = np.arange(len(vectors)) % 10 == 0
stored, queries = np.ascontiguousarray(vectors[~asked]), np.ascontiguousarray(vectors[asked])
NEIGHBORS = 50
answer: dict[str, object] = {"version": version({"faiss": "faiss-cpu", "umap": "umap-learn"}.get(method, method))}


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
    from moodspace.index.gallery import Gallery
    from moodspace.index.search import GalleryIndex

    n = len(stored)
    own = GalleryIndex(Gallery(stored, np.arange(n), {}, {}, np.full(n, ""), np.zeros(n)))
    return lambda rows: own.search(rows, NEIGHBORS).ids


def make_map() -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the coordinates of the stored vectors and a function that places `(n, d)` new ones."""
    if method == "umap":
        import umap

        reducer = umap.UMAP(n_neighbors=15, metric="cosine", random_state=0, n_jobs=1).fit(stored)
        return reducer.embedding_, reducer.transform
    if method == "pacmap":
        import pacmap

        reducer = pacmap.PaCMAP(random_state=0, save_tree=True)
        return reducer.fit_transform(stored), lambda rows: reducer.transform(rows, basis=stored)
    import moodspace as ms

    drawn = ms.Map(ms.load())
    return drawn.coordinates[~asked], drawn.place


start = time.perf_counter()
if task == "search":
    search = make_search()
    answer["build_s"] = time.perf_counter() - start
    answer["ms"] = {n: timed_ms(lambda n=n: search(queries[:n])) / n for n in (1, 8, 32)}
    exact = np.argsort(-(queries[:200] @ stored.T), axis=1, kind="stable")[:, :NEIGHBORS]
    same = [len(set(a) & set(b)) for a, b in zip(search(queries[:200]), exact, strict=True)]
    answer["recall"] = float(np.mean(same)) / NEIGHBORS
else:
    coordinates, place = make_map()
    answer["fit_s"] = time.perf_counter() - start
    start = time.perf_counter()
    place(queries[:1])
    answer["first_place_s"] = time.perf_counter() - start
    times = []
    for at in range(1, 8):
        start = time.perf_counter()
        place(queries[at : at + 1])
        times.append(1000 * (time.perf_counter() - start))
    answer["place_ms"] = float(np.median(times))
    np.ascontiguousarray(coordinates, np.float32).tofile(inputs / "map.f32")
print("\nANSWER", json.dumps(answer), flush=True)
