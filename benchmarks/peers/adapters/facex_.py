"""The package `facex`: one classifier, as its pool uses it for each face."""

import sys
from importlib.metadata import version
from pathlib import Path

import facex
import numpy as np
from common import run
from facex.core import EmotionClassifier

classifier = EmotionClassifier(str(Path(facex.__file__).parent / "assets" / "model_optimized.tflite"))
# Its own names in the order of its outputs, and FER2013's for them.
NAMES = {
    "anger": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral", "sadness": "sad",
    "surprised": "surprise",
}  # fmt: skip
if list(classifier.category) != list(NAMES):
    sys.exit(f"facex: expected the classes {', '.join(NAMES)}, got {', '.join(classifier.category)}")


def predict(crops: np.ndarray) -> np.ndarray:
    """Label crops as `predict` does after it has cut them out."""
    said = [classifier.detect_emotion(crop) for crop in crops]
    return np.array([[one[name] for name in NAMES] for one in said])


def detect(rgb: np.ndarray) -> int:
    """Find and label the faces of a frame."""
    return len(classifier.predict(np.ascontiguousarray(rgb[..., ::-1])))


run(predict, detect, list(NAMES.values()), version("facex"))
