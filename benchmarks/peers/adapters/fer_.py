"""The package `fer`, with its TensorFlow Lite model or, as `fer_.py TASK INPUTS ENVIRONMENT hdf5`, its Keras model."""

import sys
from importlib.metadata import version

import cv2
import numpy as np
from common import run
from fer.fer import FER

detector = FER(mtcnn=False, use_tflite=sys.argv[4:] != ["hdf5"])
CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
if list(detector._get_labels().values()) != CLASSES:
    sys.exit(f"fer: expected the classes {', '.join(CLASSES)}, got {', '.join(detector._get_labels().values())}")


def predict(crops: np.ndarray) -> np.ndarray:
    """Label crops as `detect_emotions` does after it has cut them out."""
    faces = np.stack([cv2.resize(crop, (64, 64)) for crop in crops]).astype("float32")
    return np.asarray(detector._classify_emotions((faces / 255.0 - 0.5) * 2.0))


def detect(rgb: np.ndarray) -> int:
    """Find and label the faces of a frame."""
    return len(detector.detect_emotions(np.ascontiguousarray(rgb[..., ::-1])))


run(predict, detect, CLASSES, version("fer"))
