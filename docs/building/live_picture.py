"""Draw docs/live.png: the live window with its panel, on the public-domain picture that ships with Moodspace."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

import moodspace as ms
from moodspace.realtime.demo import picture_path
from moodspace.realtime.window.draw import draw_live
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.state import ViewState

SIZE = 1120, 620


def draw(out: Path) -> None:
    """Draw the window off-screen, as it is after a second of the same picture.

    Args:
        out: The PNG to write.
    """
    model = ms.load()
    pipeline = model.live()
    square = ms.read(picture_path())[..., ::-1]
    frame = np.ascontiguousarray(square[:360])
    for now in np.arange(0, 1, 1 / 15):
        result = pipeline.process(frame, float(now))
    selected = int(result.track_ids[0])
    places = dict(zip(result.track_ids.tolist(), ms.Map(model).place(result.embeddings), strict=True))
    view = ViewState(SIZE, selected, True, True, places)
    drawn = draw_live(frame, result, view, Panel(model.recognizer))
    # 256 colors make a third of the size.
    Image.fromarray(drawn[..., ::-1].copy()).quantize(256, kmeans=2).save(out, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "live.png")
