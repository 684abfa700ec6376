"""The page of benchmark results: each figure over time, the latest run first."""

from collections.abc import Sequence

from benchmarks.results import Run
from moodspace.viz.theme import page, text

_WIDTH, _HEIGHT = 160, 28
_STYLE = """
.runs td { font-variant-numeric: tabular-nums; }
.runs svg { display: block; }
.names { display: flex; flex-wrap: wrap; gap: 4px 16px; }
@media (max-width: 600px) { .runs .first { display: none; } }
.runs path { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.runs circle { fill: var(--alert); }
pre { overflow-x: auto; font-size: var(--small); background: var(--wash); padding: 12px; border-radius: 8px; }
"""


def results_page(runs: Sequence[Run]) -> str:
    """Return the runs as one self-contained HTML page.

    Runs are compared where benchmark, arguments and machine agree.
    """
    groups: dict[tuple[str, tuple[str, ...], str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.name, tuple(run.arguments), run.machine), []).append(run)
    body = "".join(_section(group) for _, group in sorted(groups.items()))
    names = sorted({run.name for run in runs})
    counts = f"{_count(len(runs), 'run')} of {_count(len(names), 'benchmark')}"
    links = " ".join(f'<a href="#{text(name)}">{text(name)}</a>' for name in names) if len(names) > 1 else ""
    heading = f'<h1>Benchmarks</h1><p class="faint">{counts}</p><nav class="names">{links}</nav>'
    return page("Moodspace: benchmarks", f'<main class="sheet">{heading}{body}</main>', style=_STYLE)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _section(runs: Sequence[Run]) -> str:
    last = runs[-1]
    told = (
        f"{last.time}, commit {last.commit or 'unknown'}{' with changes' if last.changed else ''}, {last.machine}, "
        f"load {'unknown' if last.load is None else last.load}, {last.seconds:g} s, exit status {last.exit}"
    )
    rows = "".join(_row(name, runs) for name in last.figures)
    table = (
        '<div class="scroll"><table class="runs"><thead><tr><th>figure</th><th class="number first">first</th>'
        '<th class="number">last</th><th class="number">change</th>'
        f"<th>over {_count(len(runs), 'run')}</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    printed = f"<details><summary>What it printed</summary><pre>{text(last.output)}</pre></details>"
    heading = f'<h2>{text(" ".join([last.name, *last.arguments]))}</h2><p class="faint small">{text(told)}</p>'
    return f'<section id="{text(last.name)}">{heading}{table if rows else ""}{printed}</section>'


def _row(name: str, runs: Sequence[Run]) -> str:
    values = [run.figures[name] for run in runs if name in run.figures]
    first, last = values[0], values[-1]
    change = f"{100 * (last / first - 1):+.1f} %" if first and len(values) > 1 else ""
    cells = (("number first", f"{first:.4g}"), ("number", f"{last:.4g}"), ("number", change))
    numbers = "".join(f'<td class="{kind}">{text(cell)}</td>' for kind, cell in cells)
    return f"<tr><td>{text(name)}</td>{numbers}<td>{_line(values)}</td></tr>"


def _line(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (_WIDTH - 6) / max(len(values) - 1, 1)
    points = [(3 + step * at, _HEIGHT - 4 - (_HEIGHT - 8) * (value - low) / span) for at, value in enumerate(values)]
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    x, y = points[-1]
    label = f"from {values[0]:.4g} to {values[-1]:.4g}, lowest {low:.4g}, highest {high:.4g}"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{text(label)}">'
        f'<path d="{path}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )
