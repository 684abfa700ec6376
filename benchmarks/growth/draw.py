"""Draw growth curves as one picture."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.growth.curves import Curve

_COLUMNS = 2


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw each curve on logarithmic scales, with its bend as a dotted line, and write the picture.

    Args:
        curves: What was measured, one panel each.
        path: The picture; its ending tells the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(curves) // _COLUMNS)
    with plt.rc_context({"font.size": 9, "svg.hashsalt": "moodspace", "svg.fonttype": "none"}):
        figure, axes = plt.subplots(rows, _COLUMNS, figsize=(9, 2.7 * rows), squeeze=False, layout="constrained")
        for axis in axes.flat[len(curves) :]:
            axis.set_visible(False)
        for axis, curve in zip(axes.flat, curves, strict=False):
            points = [(one["at"], one[curve.y]) for one in curve.points if curve.y in one]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, color="#3355aa")
            axis.set(xscale="log", yscale="log", xlabel=curve.x, ylabel=curve.label)
            at = [one[0] for one in points]
            if max(at) < 100:
                axis.set_xticks(at, [f"{one:.2g}" for one in at])
                axis.set_xticks([], minor=True)
            if (bend := curve.bend()) is not None:
                axis.axvline(bend, color="#aa5522", linestyle=":", label=f"bends at {bend:.3g}")
                axis.legend(frameon=False, loc="best")
            axis.grid(alpha=0.25)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
