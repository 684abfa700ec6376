"""Run live, the web app and the sinks together for an hour, and watch memory, files, threads, latency and errors.

    python -m benchmarks soak
    python -m benchmarks soak --minutes 30 --fps 4 --clip class.mp4
    python -m benchmarks soak --minutes 1440 --fps 5 --folder /var/tmp/soak --json > soak.json      # 24 h

`moodspace live --headless` watches a network camera on this machine that repeats a clip, records the session with
single faces, and sends to WebSocket (two receivers, of which one comes and goes), OSC, MQTT (if mosquitto is there)
and a file of JSON lines. `moodspace web` serves visitors: each has a page script and a live session, records, teaches a
face and marks events; all but the first leave after a minute or so and a new browser comes. All connections are on
127.0.0.1.

Every ten seconds the memory (RSS, PSS), open files and threads of each program are sampled. The end is a table: each of
them after the warm-up and at the end, latency from the capture of a frame to its receiver and from a visitor's frame to
its answer, what was dropped, and errors. An error is: a line on stderr while a program runs, an exit status other than
that of Ctrl-C, a message of an error to a visitor, a lost connection, an unreadable document or recording. Exit with 1
if there was one, or if the resident memory of a program grew by more than 2 % from the end of the warm-up (a quarter of
the time, at most ten minutes) to the end; medians of the first and last tenth of the time between are compared.

For 24 hours: `--minutes 1440`. At 5 frames a second with four faces, the file of JSON lines takes about 3 GB; name a
folder on a disk that has them. Ctrl-C ends the soak early, with its table. Linux only.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import moodspace as ms
from benchmarks.session.sinks import broker, broker_path, free_port
from benchmarks.soak.processes import Program, Sample, sample
from benchmarks.soak.report import count_figures, program_figures, table, verdict
from benchmarks.soak.traffic import Count, Receivers, Visitors, camera, clip_pictures

_STARTING_S = 120.0
_MOST_WARM_MINUTES = 10.0
_SAMPLES = 180
_MOST_BETWEEN_S = 10.0
# The exit status of a program that Ctrl-C ended.
_INTERRUPTED = 130
_TELL_S = 300.0


def main() -> None:
    """Read the arguments, run, and print the figures; exit with 1 if memory grew or an error occurred."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; default 60, a day has 1440")
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second of the camera; default 10")
    parser.add_argument("--clip", type=Path, help="a video with faces to repeat; default four copies of one face")
    parser.add_argument("--visitors", type=int, default=3, help="visitors at once; default 3")
    parser.add_argument("--visitor-fps", type=float, default=1.0, help="frames per second of each; default 1")
    parser.add_argument("--folder", type=Path, help="where the recording and the values go; default a temporary folder")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    asked = parser.parse_args()
    for name in ("minutes", "fps", "visitors", "visitor_fps"):
        if not getattr(asked, name) > 0:
            parser.error(f"--{name.replace('_', '-')}: expected more than 0, got {getattr(asked, name):g}")
    with contextlib.ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        found = soak(asked, folder)
    print(json.dumps(found) if asked.json else table(found))
    raise SystemExit(bool(found["missed"]))


def soak(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run everything for the time asked for; return the figures.

    Args:
        asked: The arguments.
        folder: Where the recording, the values and the taught faces go.
    """
    pictures = clip_pictures(asked.clip)
    websocket, osc, mqtt, web_port = free_port(), free_port(), free_port() if broker_path() else None, free_port()
    values = folder / f"values-{os.getpid()}.jsonl"
    to = [f"ws://127.0.0.1:{websocket}", f"osc://127.0.0.1:{osc}", str(values)]
    to += [f"mqtt://127.0.0.1:{mqtt}/soak"] if mqtt else []
    own = {"MOODSPACE_GALLERY": str(folder / f"gallery-{os.getpid()}"), "XDG_STATE_HOME": str(folder / "state")}
    with contextlib.ExitStack() as stack:
        if mqtt:
            stack.enter_context(broker(mqtt))
        address = stack.enter_context(camera(pictures, asked.fps))
        receivers = stack.enter_context(Receivers(websocket, osc, mqtt))
        url = f"http://localhost:{web_port}/"
        web = stack.enter_context(
            # Room for those who have just left too.
            Program("web", "web", "--port", str(web_port), "--visitors", str(2 * asked.visitors + 2), environment=own)
        )
        live = stack.enter_context(
            Program(
                "live", "live", "--source", address, "--headless", "--individuals", "--min-group", "1",
                "--record", str(folder / "sessions"), *(word for one in to for word in ("--to", one)), environment=own,
            )
        )  # fmt: skip
        live.wait_for(lambda: receivers.counts[0].got > 0, _STARTING_S)
        web.wait_for(lambda: _answers(url), _STARTING_S)
        visitors = stack.enter_context(Visitors(url, asked.visitors, asked.visitor_fps, pictures[0]))
        web.wait_for(lambda: all(one.got or one.errors for one in (*visitors.visits, visitors.pages)), _STARTING_S)
        programs = [live, web]
        for one in programs:
            one.settle()
        begun = time.monotonic()
        samples, seconds = _watch(programs, 60 * asked.minutes)
        warm_s = min(60 * _MOST_WARM_MINUTES, seconds / 4)
        # They leave first, so that a connection that ends with its program is no error.
        visitors.stop()
        receivers.stop()
    counts = [*receivers.counts, *visitors.visits, visitors.pages]
    figures = {one.name: program_figures(samples[one.name], warm_s) for one in programs}
    recorded, written, mistakes = _stored(folder, values, receivers.counts[0])
    errors = [*mistakes, *(line for one in programs for line in _mistakes(one))]
    errors += [line for one in counts for line in one.errors]
    return {
        "minutes": round(seconds / 60, 2), "warm_minutes": round(warm_s / 60, 2),
        "load": os.getloadavg()[0], "recorded_mb": recorded, "jsonl_mb": written,
        "programs": figures, "traffic": {one.name: count_figures(one, begun + warm_s) for one in counts},
        "said_at_end": live.said.ending, "errors": errors, "missed": verdict(figures, errors),
    }  # fmt: skip


def _watch(programs: list[Program], seconds: float) -> tuple[dict[str, list[Sample]], float]:
    """Sample the programs until the time is over, one of them has ended or somebody presses Ctrl-C."""
    samples: dict[str, list[Sample]] = {one.name: [] for one in programs}
    begun = time.monotonic()
    every = min(_MOST_BETWEEN_S, seconds / _SAMPLES)
    told = begun
    try:
        while (passed := time.monotonic() - begun) < seconds and all(one.process.poll() is None for one in programs):
            for one in programs:
                if (held := sample(one.pid, passed)) is not None:
                    samples[one.name].append(held)
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                newest = ", ".join(f"{name} {values[-1].rss_mb:.0f} MB" for name, values in samples.items() if values)
                print(f"{passed / 60:.0f} minutes: {newest}", file=sys.stderr, flush=True)
            time.sleep(min(every, max(0.0, begun + seconds - time.monotonic())))
    except KeyboardInterrupt:
        print("ended early", file=sys.stderr)
    return samples, time.monotonic() - begun


def _answers(url: str) -> bool:
    import urllib.request

    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(f"{url}_stcore/health", timeout=5).status == 200)
    return False


def _mistakes(program: Program) -> list[str]:
    found = [f"{program.name} said: {line}" for line in program.said.running]
    found += [f"{program.name} said: {line}" for line in program.said.ending if "Traceback" in line]
    if not program.told_to_stop:
        found.append(f"{program.name}: ended by itself with exit status {program.exit}")
    elif program.exit not in (0, _INTERRUPTED):
        found.append(f"{program.name}: expected exit status {_INTERRUPTED}, got {program.exit}")
    return found


def _stored(folder: Path, values: Path, received: Count) -> tuple[float, float, list[str]]:
    """Return the MB of the recording and of the JSON lines, and what is wrong with them."""
    mistakes: list[str] = []
    lines, newest = 0, -1
    try:
        with values.open(encoding="utf-8") as file:
            for lines, line in enumerate(file, 1):
                number = json.loads(line)["frame"]
                if number <= newest:
                    mistakes.append(f"{values.name}: expected a frame after {newest} in line {lines}, got {number}")
                newest = number
        if lines < received.got:
            mistakes.append(f"{values.name}: expected at least {received.got} lines, got {lines}")
    except (OSError, ValueError, KeyError) as error:
        mistakes.append(f"{values.name}: line {lines}: {error}")
    sessions = sorted((folder / "sessions").glob("*/"))
    try:
        if not len(ms.open_session(sessions[-1]).group.second):
            mistakes.append("the recording is empty")
    except (IndexError, OSError, ms.MoodspaceError) as error:
        mistakes.append(f"recording: {error}")
    stored = sum(path.stat().st_size for path in (folder / "sessions").rglob("*") if path.is_file())
    size = values.stat().st_size if values.exists() else 0
    return round(stored / 2**20, 2), round(size / 2**20, 2), mistakes


if __name__ == "__main__":
    main()
