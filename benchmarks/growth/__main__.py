"""Measure how time grows with the size of the input, where each curve bends, and draw the curves.

    python -m benchmarks growth
    python -m benchmarks growth faces gallery --draw build/growth.svg
    python -m benchmarks growth gallery --largest 10000000 --no-lists
    python -m benchmarks growth --read build/growth.jsonl --draw build/growth.svg

The curves: `faces` in a frame (1 to 32), `pictures` (320x180 to 3840x2160), `gallery` (1,000 to 1,000,000 faces, or
`--largest`; exact and by inverted lists), `visitors` of the web app (1 to 32), `workers` that read videos (1, 2, 4),
and `devices` of a training, which needs JAX and shows only that the weights agree. A cost bends where the part that
grows equals the fixed part, a throughput where it reaches nine tenths of its limit. Each curve is a line of JSON in
`--out`. All together take about four minutes on two idle cores; ten million faces take 7 GB and, with inverted lists,
more than ten minutes.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.growth.curves import Curve, curve_from_json
from benchmarks.growth.draw import draw_curves

_STEPS = tuple(10**power for power in range(3, 9))


def _gallery(asked: argparse.Namespace) -> Iterator[Curve]:
    from benchmarks.growth.gallery import gallery_curves

    sizes = [size for size in _STEPS if asked.smallest <= size <= asked.largest]
    return iter({curve.name: curve for curve in gallery_curves(sizes, lists=not asked.no_lists)}.values())


def _frames(asked: argparse.Namespace, name: str) -> Iterator[Curve]:
    from benchmarks.growth.frames import faces_curve, sizes_curve
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.embeddings.detection.detectors import open_detector

    measure = faces_curve if name == "faces" else sizes_curve
    short = {"count": 8, "rounds": 1} if asked.quick else {}
    yield measure(open_detector(), Recognizer(load_bundle(asked.bundle)), **short)


def _visitors(asked: argparse.Namespace) -> Iterator[Curve]:
    from benchmarks.growth.load import visitors_curve

    yield visitors_curve(**({"seconds": 1.5} if asked.quick else {}))


def _workers(asked: argparse.Namespace) -> Iterator[Curve]:
    from benchmarks.growth.load import workers_curve

    yield workers_curve(asked.bundle, asked.clip, **({"copies": 1, "frames": 8} if asked.quick else {}))


def _devices(asked: argparse.Namespace) -> Iterator[Curve]:
    from benchmarks.growth._devices import devices_curve

    if curve := devices_curve():
        yield curve


CURVES: dict[str, Callable[[argparse.Namespace], Iterator[Curve]]] = {
    "faces": lambda asked: _frames(asked, "faces"),
    "pictures": lambda asked: _frames(asked, "pictures"),
    "gallery": _gallery,
    "visitors": _visitors,
    "workers": _workers,
    "devices": _devices,
}


def table(curve: Curve) -> str:
    """Return a curve as a Markdown table with its bend and exponents."""
    names = list(dict.fromkeys(name for point in curve.points for name in point if name != "at"))
    rows = [[curve.x, *names], ["---"] * (len(names) + 1)]
    rows += [[f"{point['at']:g}", *(f"{point[one]:g}" if one in point else "" for one in names)]
             for point in curve.points]  # fmt: skip
    bend, lines = curve.bend(), "\n".join(f"| {' | '.join(row)} |" for row in rows)
    told = f"bends at {bend:.3g}" if bend is not None else "does not bend"
    return f"{curve.name}: {told}; exponents of {curve.y} {curve.exponents()}\n\n{lines}\n"


def main() -> None:
    """Read the arguments, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"{', '.join(CURVES)}; all if left out")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    parser.add_argument("--clip", type=Path, help="a video for the workers; four drawn faces if left out")
    parser.add_argument("--smallest", type=int, default=1000, help="the smallest gallery; default 1,000")
    parser.add_argument("--largest", type=int, default=1_000_000, help="the largest gallery; default 1,000,000")
    parser.add_argument("--no-lists", action="store_true", help="search exactly only; builds no inverted lists")
    parser.add_argument("--quick", action="store_true", help="only see that all runs; the figures mean nothing")
    parser.add_argument("--read", type=Path, help="read the curves from this file instead of measuring")
    parser.add_argument("--out", type=Path, default=Path("build/growth.jsonl"), help="the curves, JSON lines")
    parser.add_argument("--draw", type=Path, help="the picture to draw, SVG or PNG")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of tables")
    asked = parser.parse_args()
    if unknown := set(asked.curves) - set(CURVES):
        parser.error(f"expected curves among {', '.join(CURVES)}, got {', '.join(sorted(unknown))}")
    curves: list[Curve] = []
    if asked.read:
        try:
            lines = asked.read.read_text(encoding="utf-8").splitlines()
            curves = [curve_from_json(json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            parser.error(f"{asked.read}: expected a curve in each line, got {error}")
    else:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text("")
    found = iter(curves) if asked.read else (one for name in asked.curves or CURVES for one in CURVES[name](asked))
    for curve in found:
        line = json.dumps(curve.to_json())
        print(line if asked.json else table(curve), flush=True)
        if not asked.read:
            curves.append(curve)
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    if asked.draw and curves:
        draw_curves(curves, asked.draw)


if __name__ == "__main__":
    main()
