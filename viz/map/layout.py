"""The places of a bundle's own faces: those that the bundle keeps, where they are what is asked for, or new ones."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import Bundle, update_bundle
from moodspace.viz.explore.data import Stages
from moodspace.viz.map.projection import MIN_DIST, N_NEIGHBORS, project

METRIC: Final = "cosine"
# The name under which the bundle's manifest says how its places were made, among what was measured.
_RECORD = "map"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the faces of a bundle's gallery stand.

    Attributes:
        coordinates: `(n, 2)` float32, finite.
        seed: Of the layout.
        fresh: Whether they were made now, so that the bundle does not have them yet.
    """

    coordinates: FloatArray
    seed: int
    fresh: bool


def lay_out(
    bundle: Bundle, seed: int | None = None, *, refit: bool = False, progress: Stages = lambda stage: None
) -> Layout:
    """Returns the places that a bundle keeps, or makes them.

    Args:
        bundle: Whose gallery to lay out.
        seed: Of the layout; the kept one's when None, 0 where none is kept.
        refit: Whether to make them anew in any case.
        progress: Called with a stage's name, returns what is called as the stage goes on.

    Raises:
        ValueError: a row of the gallery is no finite unit vector.
    """
    made = bundle.meta["metrics"].get(_RECORD)
    kept = bundle.map_coordinates
    if kept is not None and isinstance(made, dict) and made == _record(kept, made.get("seed")):
        if not refit and seed in (None, made["seed"]):
            return Layout(kept, made["seed"], fresh=False)
        seed = made["seed"] if seed is None else seed
    seed = seed or 0
    told = _by_stage(progress)
    return Layout(project(bundle.index.gallery.embeddings, seed=seed, metric=METRIC, progress=told), seed, fresh=True)


def keep_layout(bundle: Bundle, layout: Layout) -> None:
    """Writes places into their bundle, where live, web and the next map find them.

    Raises:
        BundleError: the bundle cannot be written, or another program has replaced its gallery since.
    """
    coordinates = layout.coordinates
    metrics = {_RECORD: _record(coordinates, layout.seed)}
    update_bundle(bundle.path, map_coordinates=coordinates, metrics=metrics, made_from=bundle)


def _record(coordinates: FloatArray, seed: Any) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(coordinates, "<f4").tobytes()).hexdigest()
    settings = {"metric": METRIC, "n_neighbors": N_NEIGHBORS, "min_dist": MIN_DIST}
    return {"method": "umap", **settings, "seed": seed, "sha256": digest}


def _by_stage(progress: Stages) -> Any:
    """From bars by stage to what `viz.projection.project` calls: a stage's name and the share of it done."""
    bars: dict[str, Any] = {}

    def told(stage: str, share: float) -> None:
        if stage not in bars:
            bars[stage] = progress(stage)
        if bars[stage] is not None:
            bars[stage](round(100 * share), 100)

    return told
