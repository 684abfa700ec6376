"""Show stimuli with PsychoPy, mark each one, and save the expression shown meanwhile.

    moodspace live --min-group 1 --to lsl:moodspace --to session.jsonl
    python psychopy_markers.py results.csv

Run the first command in a terminal of its own, and the second one with PsychoPy's Python, which has pylsl.
`--min-group 1` makes the numbers of the group those of the one participant. The markers go out as the stream
`psychopy-markers`, which LabRecorder records beside Moodspace's streams.
"""

import csv
import sys

from psychopy import core, visual
from pylsl import StreamInfo, StreamInlet, StreamOutlet, local_clock, resolve_byprop

STIMULI = ["a puppy", "a spider", "a chair"]
SHOWN_S, PAUSE_S = 2.0, 1.0


def open_expressions(name: str = "moodspace") -> tuple[StreamInlet, list[str]]:
    """Open Moodspace's stream of numbers; return it and the names of its channels."""
    found = resolve_byprop("name", name, 1, 10)
    if not found:
        raise SystemExit(f"expected the stream {name}, got none; start: moodspace live --min-group 1 --to lsl:{name}")
    inlet = StreamInlet(found[0])
    channels, channel = [], inlet.info().desc().child("channels").child("channel")
    while not channel.empty():
        channels.append(channel.child_value("label"))
        channel = channel.next_sibling("channel")
    inlet.open_stream()
    return inlet, channels


def mean_between(samples: list[list[float]], stamps: list[float], start: float, end: float) -> list[float]:
    """Return the mean of each channel over the samples from `start` to `end` that are not withheld (NaN)."""
    inside = [s for s, at in zip(samples, stamps, strict=True) if start <= at < end and all(v == v for v in s)]
    return [sum(values) / len(inside) for values in zip(*inside, strict=True)] if inside else []


def main(path: str) -> None:
    """Show each stimulus once and write a row for each."""
    inlet, channels = open_expressions()
    markers = StreamOutlet(StreamInfo("psychopy-markers", "Markers", 1, 0, "string", "psychopy-example"))
    window = visual.Window(color="black")
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["stimulus", "onset", *channels])
        for stimulus in STIMULI:
            inlet.flush()
            visual.TextStim(window, text=stimulus).draw()
            window.flip()
            # The picture is on the screen from here on: PsychoPy's flip waits for it.
            onset = local_clock()
            markers.push_sample([stimulus], onset)
            core.wait(SHOWN_S)
            samples, stamps = inlet.pull_chunk(timeout=0.0, max_samples=10_000)
            table.writerow([stimulus, onset, *mean_between(samples, stamps, onset, onset + SHOWN_S)])
            window.flip()
            core.wait(PAUSE_S)
    window.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results.csv")
