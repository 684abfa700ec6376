"""Moodspace by its public API: `moodspace_.py TASK INPUTS ENVIRONMENT VIEW`. The clip is a live session."""

import sys
from importlib.metadata import version
from itertools import count

import numpy as np
from common import run

import moodspace as ms

model = ms.load(view=sys.argv[4] or None)
pipeline = model.live()
seconds = (at / 12 for at in count())


def detect(rgb: np.ndarray) -> int:
    """Find and label the faces of a frame."""
    return len(pipeline.process(np.ascontiguousarray(rgb[..., ::-1]), next(seconds)).faces)


run(model.predict_proba, detect, [str(name) for name in model.classes_], version("moodspace"))
