"""Compare encoder, detector and search with what the processor and the memory of this machine can do.

The processor's limit is a matrix product, timed here: NumPy's in float32 for the detector, one layer of 8-bit integers
in LiteRT for the encoder. The memory's limit is the rate at which arrays of the gallery's size are summed, one that is
in the cache as the gallery is, and one far larger than the cache.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.pipeline.multiply_adds import int8_product, multiply_adds
from moodspace.classifier.bundle.bundle import ENCODER, load_bundle
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.detection.conversion import convert_centerface
from moodspace.embeddings.detection.detectors import bundled_weights
from moodspace.embeddings.encoder import LiteRTEncoder
from moodspace.embeddings.litert import open_interpreter

# The detector's input for a 16:9 frame.
HEIGHT, WIDTH = 288, 480
# Sides of the float32 product, and the shape of the 8-bit one: as many rows as a layer has pixels.
_SIDE, _INT8 = 1024, (1024, 512, 512)
# Faces a call, as the live pipeline makes them.
_FACES = 4
_FAR_BYTES = 256 << 20

Clock = Callable[[], float]


def fastest_s(call: Callable[[], object], rounds: int, clock: Clock) -> float:
    """Return the seconds of the fastest call: other work on the machine only ever adds time."""
    call()
    taken = []
    for _ in range(rounds):
        start = clock()
        call()
        taken.append(clock() - start)
    return min(taken)


def limits(bundle: Path, rounds: int) -> dict[str, Any]:
    """Return for each number of threads the peaks of the machine, and how much of them each stage reaches."""
    return {"threads": {str(threads): _on(threads, bundle, rounds) for threads in (1, 2)}}


def _on(threads: int, bundle: Path, rounds: int) -> dict[str, Any]:
    # The processor time of one thread hardly depends on what else the machine does.
    clock = time.process_time if threads == 1 else time.perf_counter
    with threadpool_limits(threads):
        peaks = {"float32": _float32_peak(rounds, clock), "int8": _int8_peak(threads, rounds, clock)}
    loaded = load_bundle(bundle)
    encoder = LiteRTEncoder(bundle / ENCODER, loaded.classes, flip=False, threads=threads)
    crops = np.random.default_rng(0).integers(0, 256, (_FACES, SIZE, SIZE), np.uint8)
    encoded = encoder.encode(crops)
    content = convert_centerface(bundled_weights()).resized(height=HEIGHT, width=WIDTH)
    detector = open_interpreter(content, threads)
    detector.set_tensor(detector.get_input_details()[0]["index"], np.zeros((1, HEIGHT, WIDTH, 3), np.float32))
    index = loaded.index
    index.threads = threads
    k = max(calibration.k for calibration in loaded.calibrations.values())
    bytes_read = _FACES * len(index) * index.dim * 2
    cached, far = (_bandwidth(size, rounds, clock) for size in (len(index) * index.dim * 2, _FAR_BYTES))
    weights = (bundle / ENCODER).read_bytes()
    search_s = fastest_s(lambda: index.search(encoded.embeddings, k), rounds, clock)
    return {
        "peak_gmacs": {name: round(value / 1e9, 1) for name, value in peaks.items()},
        "gigabytes_a_second": {"in the cache": round(cached / 1e9, 1), "from memory": round(far / 1e9, 1)},
        "stages": {
            f"encoder, {_FACES} faces": _reached(
                _FACES * multiply_adds(weights),
                fastest_s(lambda: encoder.encode(crops), rounds, clock),
                _kind(weights),
                peaks,
            ),
            f"detector, {WIDTH}x{HEIGHT}": _reached(
                multiply_adds(content), fastest_s(detector.invoke, rounds, clock), _kind(content), peaks
            ),
            f"search, {_FACES} faces among {len(index)}": {
                "megabytes": round(bytes_read / 1e6, 1),
                "ms": round(1000 * search_s, 2),
                "gigabytes_a_second": round(bytes_read / search_s / 1e9, 1),
                "share": round(bytes_read / search_s / cached, 3),
            },
        },
    }


def _reached(count: float, seconds: float, kind: str, peaks: Mapping[str, float]) -> dict[str, Any]:
    return {
        "million_macs": round(count / 1e6, 1),
        "ms": round(1000 * seconds, 2),
        "gmacs": round(count / seconds / 1e9, 1),
        "of": kind,
        "share": round(count / seconds / peaks[kind], 3),
    }


def _kind(content: bytes) -> str:
    """Return the number type that a network computes with."""
    details = open_interpreter(content, 1).get_tensor_details()
    return "int8" if sum(one["dtype"] is np.int8 for one in details) > len(details) / 2 else "float32"


def _float32_peak(rounds: int, clock: Clock) -> float:
    """Return the multiply-adds a second of a product of float32 matrices."""
    first, second = np.random.default_rng(0).random((2, _SIDE, _SIDE), np.float32)
    result = np.empty_like(first)
    return _SIDE**3 / fastest_s(lambda: np.matmul(first, second, out=result), rounds, clock)


def _int8_peak(threads: int, rounds: int, clock: Clock) -> float:
    """Return the multiply-adds a second of a product of 8-bit matrices in LiteRT."""
    rows, inner, columns = _INT8
    product = open_interpreter(int8_product(rows, inner, columns), threads)
    return rows * inner * columns / fastest_s(product.invoke, rounds, clock)


def _bandwidth(size: int, rounds: int, clock: Clock) -> float:
    """Return the bytes a second at which one thread adds up an array of this many bytes."""
    values = np.ones(size // 4, np.float32)
    return size / fastest_s(lambda: cv2.norm(values, cv2.NORM_L1), rounds, clock)


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = ["| threads | stage | work | ms | rate | limit | share of it |", "|---" * 7 + "|"]
    for threads, block in found["threads"].items():
        for stage, one in block["stages"].items():
            if "of" in one:
                work, rate = f"{one['million_macs']:.0f} M multiply-adds", f"{one['gmacs']:.0f} G/s"
                limit = f"{block['peak_gmacs'][one['of']]:.0f} G/s, {one['of']} product"
            else:
                work, rate = f"{one['megabytes']:.1f} MB read", f"{one['gigabytes_a_second']:.0f} GB/s"
                near, far = block["gigabytes_a_second"].values()
                limit = f"{near:.0f} GB/s in the cache, {far:.0f} from memory"
            lines.append(f"| {threads} | {stage} | {work} | {one['ms']:.2f} | {rate} | {limit} | {one['share']:.0%} |")
    return "\n".join(lines)
