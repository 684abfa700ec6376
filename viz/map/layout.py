"""The coordinates of a bundle's gallery: read from the bundle where they match the request, or computed."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import Bundle, update_bundle
from moodspace.viz.explore.data import Stages
from moodspace.viz.map.projection import MIN_DIST, N_NEIGHBORS, project

METRIC: Final = "cosine"
# Key of the layout's settings among the metrics of the bundle's manifest.
_RECORD = "map"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The coordinates of a bundle's gallery.

    Attributes:
        coordinates: `(n, 2)` float32, finite.
        seed: Seed of the layout.
        fresh: Whether it was computed now, so that the bundle does not store it yet.
    """

    coordinates: FloatArray
    seed: int
    fresh: bool


def lay_out(
    bundle: Bundle, seed: int | None = None, *, refit: bool = False, progress: Stages = lambda stage: None
) -> Layout:
    """Return the coordinates that a bundle stores, or compute them.

    Args:
        bundle: The bundle.
        seed: Seed of the layout; by default that of the stored layout, or 0.
        refit: Compute the layout in any case.
        progress: Called with the name of each stage; returns a callback for its progress.

    Raises:
        ValueError: A gallery row is not a finite vector of unit length.
    """
    made = bundle.meta["metrics"].get(_RECORD)
    kept = bundle.map_coordinates
    if kept is not None and isinstance(made, dict) and made == _record(kept, made.get("seed")):
        if not refit and seed in (None, made["seed"]):
            return Layout(kept, made["seed"], fresh=False)
        seed = made["seed"] if seed is None else seed
    seed = seed or 0
    report = _by_stage(progress)
    return Layout(project(bundle.index.gallery.embeddings, seed=seed, metric=METRIC, progress=report), seed, fresh=True)


def keep_layout(bundle: Bundle, layout: Layout) -> None:
    """Store the coordinates in their bundle, for live, web and the next map.

    Raises:
        BundleError: The bundle cannot be written, or another program has replaced its gallery.
    """
    coordinates = layout.coordinates
    metrics = {_RECORD: _record(coordinates, layout.seed)}
    update_bundle(bundle.path, map_coordinates=coordinates, metrics=metrics, made_from=bundle)


def _record(coordinates: FloatArray, seed: Any) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(coordinates, "<f4").tobytes()).hexdigest()
    settings = {"metric": METRIC, "n_neighbors": N_NEIGHBORS, "min_dist": MIN_DIST}
    return {"method": "umap", **settings, "seed": seed, "sha256": digest}


def _by_stage(progress: Stages) -> Any:
    """Convert progress bars by stage to the callback of `viz.map.projection.project`."""
    bars: dict[str, Any] = {}

    def report(stage: str, share: float) -> None:
        if stage not in bars:
            bars[stage] = progress(stage)
        if bars[stage] is not None:
            bars[stage](round(100 * share), 100)

    return report
