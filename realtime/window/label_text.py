"""The words for what a face shows, for how good its picture is, and for what a recording keeps."""

from moodspace.embeddings.detection.quality import FaceQuality
from moodspace.realtime.drawing.canvas import Colour, class_colors, from_hex
from moodspace.realtime.drawing.faces import UNSURE, Label
from moodspace.realtime.pipeline import LiveResult

GREY: Colour = from_hex("#5f6368")


def live_label(result: LiveResult, row: int, *, strong: bool) -> Label:
    """Returns what is written at a face of a live picture: its id, the expression, how sure that is, and why not surer.

    Args:
        result: The faces.
        row: Which of them.
        strong: Whether it stands out from others.
    """
    tag = str(result.track_ids[row])
    word = quality_word(result.quality, row)
    why = f" · {word}" if word else ""
    column = int(result.shown[row])
    if column < 0:
        return Label(f"{UNSURE}{why}", GREY, UNSURE, tag, strong=strong)
    share = float(result.smoothed[row, column])
    classes = result.prediction.classes
    text = f"{classes[column]} {100 * share:.0f}%{why}"
    return Label(text, class_colors(classes)[column], classes[column], tag, share, strong)


def quality_word(quality: FaceQuality, row: int) -> str:
    """Returns what is wrong with the picture of a face, in a word or two; empty when it is good enough."""
    return quality.reasons[row]
