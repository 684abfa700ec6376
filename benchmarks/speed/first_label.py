"""Measure the time from the start of each command to its first label, in processes of their own.

    python -m benchmarks first_label
    python -m benchmarks first_label --clip class.mp4 --rounds 9 --against ../old --json

`predict` reads the picture that ships with Moodspace, `demo` runs as a new user runs it, `live` reads a clip without a
window, and `api` is `import moodspace` and `recognize` in Python. The time ends when the label arrives on stdout; `cpu`
is the processor time of the whole process. With `--against`, a checkout of another version runs in turn with this one.
The first round of each fills the caches and does not count. Exit with 1 if a target is missed. Not for Windows.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Upper bound for each command, in seconds.
TARGET_S = 0.7
_API = "import moodspace; print(moodspace.recognize({!r})[0].expression, flush=True)"


def commands(folder: Path, clip: str | None) -> dict[str, list[str]]:
    """Return the arguments of Python for each command, and the folder's files as their inputs and outputs."""
    picture = str(ROOT / "realtime" / "astronaut.webp")
    found = {
        "predict": ["cli.py", "predict", picture],
        "demo": ["cli.py", "demo", "--out", str(folder / "demo")],
        "api": ["-c", _API.format(picture)],
    }
    if clip is not None:
        gallery = str(folder / "gallery")
        found["live"] = ["cli.py", "live", "--headless", "--json", "--gallery", gallery, "--source", clip]
    return found


def measure(words: list[str], checkout: Path) -> tuple[float, float]:
    """Return the seconds until a line of stdout names a class, and the processor time of the whole process.

    Args:
        words: The arguments of Python.
        checkout: Where to run it.

    Raises:
        SystemExit: The process ends without a label.
    """
    # Compiled modules are kept, as installed programs have them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process.stdout or open(os.devnull, "rb") as lines:
        found = next((time.perf_counter() - begun for line in lines if _names_a_class(line)), None)
        if found is not None and "live" in words:
            process.terminate()
        for _ in lines:
            pass
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    if found is None:
        raise SystemExit(f"expected a label from {' '.join(words)}, got none")
    return found, used.ru_utime + used.ru_stime


def _names_a_class(line: bytes) -> bool:
    return any(name in line for name in (b"happy", b"neutral", b"surprise", b"sad", b"angry", b"fear", b"disgust"))


def main() -> None:
    """Print the medians in seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", help="a video with faces, for live")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is run")
    parser.add_argument("--against", type=Path, help="the checkout of another version")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    options = parser.parse_args()
    checkouts = {"": ROOT} | ({"other_": options.against.resolve()} if options.against else {})
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(options.clip).resolve()) if options.clip else None
        for at in range(options.rounds + 1):
            for name, words in commands(Path(folder), clip).items():
                for prefix, checkout in checkouts.items():
                    label, cpu = measure(words, checkout)
                    if at:
                        seconds[f"{prefix}{name}_s"].append(label)
                        seconds[f"{prefix}{name}_cpu_s"].append(cpu)
    figures = {name: statistics.median(values) for name, values in seconds.items()}
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:<20}{value:>8.3f}")
    late = [name for name in commands(Path(), options.clip) if figures[f"{name}_s"] > TARGET_S]
    if late:
        raise SystemExit(f"missed: {', '.join(late)}")


if __name__ == "__main__":
    main()
