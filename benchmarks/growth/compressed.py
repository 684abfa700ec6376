"""Search among compressed vectors, IVF-PQ: the constants of an index of a billion faces.

    python -m benchmarks compressed
    python -m benchmarks compressed --faces 1000000 --bytes 16 32 64

Synthetic faces as in `gallery_scale`. For each size of a code: the bytes a face, the seconds of processor time to add a
million faces, the milliseconds of processor time of a query, and the recall of the ten nearest faces, both of the codes
alone and with the hundred best candidates ranked by their 16-bit embeddings. faiss directly: the product has no such
index.
"""

import argparse
import json
import time
from typing import Any

import faiss
import numpy as np

from benchmarks.growth.gallery import crowd_rows
from benchmarks.growth.gallery_scale import DIM, K

_QUERIES, _CANDIDATES = 200, 100
# Training of the codes takes most of the time.
_POINTS_PER_CODE = 32


def measure(n: int, code_bytes: int, lists: int, probes: int) -> dict[str, float]:
    """Build an index of n faces with codes of so many bytes, and search it; return its figures."""
    faiss.omp_set_num_threads(1)  # waiting for other threads would count as processor time
    rows = crowd_rows(n, 2)
    queries = crowd_rows(_QUERIES, 1).astype(np.float32)
    index: Any = faiss.index_factory(DIM, f"IVF{lists},PQ{code_bytes}", faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).choice(n, min(n, 64 * lists), replace=False)
    codes = index.pq.cp
    codes.niter, codes.min_points_per_centroid, codes.max_points_per_centroid = 8, 1, _POINTS_PER_CODE
    begun = time.process_time()
    index.train(rows[np.sort(sample)].astype(np.float32))
    trained = time.process_time()
    best = np.full((_QUERIES, K), -2, np.float32)
    adding = 0.0
    for first in range(0, n, 100_000):
        part = rows[first : first + 100_000].astype(np.float32)
        begun_part = time.process_time()
        index.add(part)
        adding += time.process_time() - begun_part
        best = np.partition(np.concatenate([best, queries @ part.T], axis=1), -K, axis=1)[:, -K:]
    faiss.extract_index_ivf(index).nprobe = probes
    index.search(queries[:1], _CANDIDATES)
    times, alone, ranked = [], 0, 0
    for query, nearest in zip(queries, best, strict=True):
        start = time.thread_time()
        ids = index.search(query[None], _CANDIDATES)[1][0]
        times.append(1000 * (time.thread_time() - start))
        similarities = np.where(ids >= 0, rows[ids].astype(np.float32) @ query, -2)
        least = nearest.min() - 1e-6
        alone += int((similarities[:K] >= least).sum())
        ranked += int((similarities >= least).sum().clip(max=K))
    ivf = faiss.extract_index_ivf(index)
    return {
        "faces": n, "bytes": code_bytes, "bytes_a_face": int(ivf.code_size) + 8, "lists": lists, "probes": probes,
        "train_s": round(trained - begun, 1), "add_s_a_million": round(1e6 * adding / n, 1),
        "median_ms": round(float(np.median(times)), 3), "recall_at_10": round(alone / best.size, 4),
        "recall_at_10_ranked": round(ranked / best.size, 4),
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000, help="how many; default 1,000,000")
    parser.add_argument("--bytes", type=int, nargs="+", default=[16, 32, 64], help="bytes of a code")
    parser.add_argument("--lists", type=int, help="inverted lists; default the square root of the number of faces")
    parser.add_argument("--probes", type=int, default=32, help="how many lists a query looks at")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    asked = parser.parse_args()
    lists = asked.lists or max(1, round(asked.faces**0.5))
    for number, code_bytes in enumerate(asked.bytes):
        found = measure(asked.faces, code_bytes, lists, asked.probes)
        if asked.json:
            print(json.dumps({"name": f"{code_bytes} bytes"} | found), flush=True)
            continue
        if not number:
            print(f"| {' | '.join(found)} |\n|{'---|' * len(found)}")
        print(f"| {' | '.join(f'{value:g}' for value in found.values())} |", flush=True)


if __name__ == "__main__":
    main()
