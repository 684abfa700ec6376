"""Compare the live pipeline's speed with another version's or with the machine's limits, and say where its time goes.

    python -m benchmarks pipeline compare OLD_CHECKOUT CLIP --faces 4
    python -m benchmarks pipeline limits
    python -m benchmarks pipeline profile CLIP --faces 4

`compare` runs both versions in turn on the same clip, on 16 faces at 1280x720 made of it, and on a single crop. It
prints medians, best rounds and ratios, and how far both versions decide alike. Each version uses its own bundle unless
`--bundle` names one. `limits` prints how far the encoder, the detector and the search are from what the processor and
the memory of this machine can do. `profile` lists the functions that take most processor time; the benchmark `live`
has the time of each stage.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.pipeline import compare, limits, profile

BUNDLE = Path("bundles/fer2013")


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="compare | limits | profile")
    both = verbs.add_parser("compare", help="compare with another version")
    both.add_argument("old", type=Path, help="the other version's checkout")
    both.add_argument("--rounds", type=int, default=5, help="how often each version runs")
    both.add_argument("--frames", type=int, default=180, help="the most frames to use")
    both.add_argument("--bundle", type=Path, help="a bundle that both can read; each version's own if left out")
    machine = verbs.add_parser("limits", help="compare with the limits of the machine")
    machine.add_argument("--bundle", type=Path, default=BUNDLE, help="the bundle")
    machine.add_argument("--rounds", type=int, default=50, help="how often each call is timed; the fastest counts")
    costly = verbs.add_parser("profile", help="list the most expensive functions")
    costly.add_argument("--bundle", type=Path, default=BUNDLE, help="the bundle")
    costly.add_argument("--count", type=int, default=20, help="how many functions to list")
    for verb in (both, costly):
        verb.add_argument("clip", type=Path, help="a video with faces")
        verb.add_argument("--faces", type=int, default=4, help="how many faces a frame of it has, 1 or 4")
    for verb in (both, machine, costly):
        verb.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    if asked.verb == "limits":
        found = limits.limits(asked.bundle, asked.rounds)
        text = limits.table(found)
    elif asked.verb == "profile":
        found = profile.profile(asked.clip, asked.bundle, asked.faces, asked.count)
        text = profile.table(found)
    else:
        found = _compared(asked)
        text = compare.table(found)
    print(json.dumps(found, indent=2) if asked.json else text)


def _compared(asked: argparse.Namespace) -> dict[str, Any]:
    old, new = (
        compare.Side(checkout, asked.clip, asked.bundle or checkout / BUNDLE, asked.faces, asked.frames)
        for checkout in (asked.old, compare.ROOT)
    )
    with old, new:
        return compare.compare(old, new, asked.rounds)


if __name__ == "__main__":
    main()
