"""The figures of a soak and its verdict."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.soak.processes import Sample
from benchmarks.soak.traffic import Count

# Upper bound of the growth of a program's resident memory after the warm-up, as a share.
BAR = 0.02
# Of the time after the warm-up, this share at the beginning is compared with as much at the end.
_SHARE = 0.1
# Samples of each part that the comparison needs at least.
_LEAST = 3


def growth(samples: Sequence[Sample], warm_s: float, name: str = "rss_mb") -> float:
    """Return the relative growth of a value: the median at the end by that after the warm-up, less 1.

    Args:
        samples: In order of time.
        warm_s: Samples before this moment, in seconds, are left out.
        name: The attribute of the samples.

    Returns:
        The growth; NaN for too few samples.
    """
    values = [float(getattr(one, name)) for one in samples if one.at >= warm_s]
    part = max(_LEAST, round(_SHARE * len(values)))
    if len(values) < 2 * part:
        return math.nan
    return statistics.median(values[-part:]) / statistics.median(values[:part]) - 1


def slope(samples: Sequence[Sample], warm_s: float, name: str = "rss_mb") -> float:
    """Return the growth of a value by hour, from a straight line through the samples after the warm-up."""
    warm = [one for one in samples if one.at >= warm_s]
    if len(warm) < 2 * _LEAST:
        return math.nan
    return float(np.polyfit([one.at / 3600 for one in warm], [getattr(one, name) for one in warm], 1)[0])


def program_figures(samples: Sequence[Sample], warm_s: float) -> dict[str, float]:
    """Return the figures of a program: at the end of the warm-up, at the end, at most, and the growth."""
    warm = [one for one in samples if one.at >= warm_s] or list(samples)
    if not warm:
        return {}
    part = max(1, round(_SHARE * len(warm)))
    found: dict[str, float] = {}
    for name in ("rss_mb", "pss_mb", "files", "threads"):
        values = [float(getattr(one, name)) for one in warm]
        found[f"{name}_warm"] = round(statistics.median(values[:part]), 1)
        found[f"{name}_end"] = round(statistics.median(values[-part:]), 1)
        found[f"{name}_most"] = round(max(float(getattr(one, name)) for one in samples), 1)
    return found | {
        "growth": round(growth(samples, warm_s), 4), "pss_growth": round(growth(samples, warm_s, "pss_mb"), 4),
        "rss_mb_per_hour": round(slope(samples, warm_s), 2),
    }  # fmt: skip


def count_figures(count: Count, since: float) -> dict[str, float]:
    """Return the figures of a visitor or a receiver.

    Args:
        count: What it got.
        since: Latencies from before this moment, seconds of `time.monotonic`, are left out.
    """
    found: dict[str, float] = {
        "got": count.got, "dropped": count.dropped, "errors": len(count.errors), "connections": count.connections,
    }  # fmt: skip
    late = [ms for at, ms in count.latencies_ms if at >= since]
    if late:
        found |= {f"p{q}_ms": round(float(np.percentile(late, q)), 1) for q in (50, 95, 99)}
    return found


def verdict(programs: dict[str, dict[str, float]], errors: Sequence[str]) -> list[str]:
    """Return why the soak failed, a line each; none if it did not.

    Args:
        programs: The figures of each program.
        errors: What went wrong.
    """
    missed = [
        f"{name}: memory grew by {100 * found['growth']:.1f} %, more than {100 * BAR:.0f} %"
        for name, found in programs.items()
        if found.get("growth", math.nan) > BAR
    ]
    return missed + ([f"{len(errors)} errors"] if errors else [])


def table(found: dict[str, Any]) -> str:
    """Return the figures as text."""
    lines = [
        f"{found['minutes']:.1f} minutes, warm-up {found['warm_minutes']:.1f}; "
        f"load of the machine {found['load']:.1f}; recorded {found['recorded_mb']:.1f} MB, "
        f"sent to a file {found['jsonl_mb']:.1f} MB",
        "",
        f"{'program':<18}{'MB warm':>9}{'MB end':>9}{'MB most':>9}{'growth':>9}{'MB/h':>8}{'PSS':>8}"
        f"{'files':>12}{'threads':>12}",
    ]
    for name, one in found["programs"].items():
        growth_text = "too short" if math.isnan(one["growth"]) else f"{100 * one['growth']:+.1f} %"
        lines.append(
            f"{name:<18}{one['rss_mb_warm']:>9.1f}{one['rss_mb_end']:>9.1f}{one['rss_mb_most']:>9.1f}"
            f"{growth_text:>9}{one['rss_mb_per_hour']:>8.1f}{one['pss_mb_end']:>8.1f}"
            f"{one['files_warm']:>6.0f}{one['files_end']:>6.0f}{one['threads_warm']:>6.0f}{one['threads_end']:>6.0f}"
        )
    lines += [
        "",
        f"{'who':<18}{'got':>9}{'dropped':>9}{'errors':>8}{'joined':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}",
    ]
    for name, one in found["traffic"].items():
        late = "".join(f"{one[q]:>9.1f}" if q in one else f"{'':>9}" for q in ("p50_ms", "p95_ms", "p99_ms"))
        lines.append(f"{name:<18}{one['got']:>9}{one['dropped']:>9}{one['errors']:>9}{one['connections']:>9}{late}")
    lines += ["", *(f"live: {line}" for line in found["said_at_end"])]
    lines += [f"error: {line}" for line in found["errors"][:20]]
    if len(found["errors"]) > 20:
        lines.append(f"and {len(found['errors']) - 20} more errors")
    lines += [f"missed: {line}" for line in found["missed"]] or ["met: no error, and memory within the bar"]
    return "\n".join(lines)
