"""The tables of docs/peers.md and README.md, from the figures of a run; each stands between two comments."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import ROOT, settings

PAGE = ROOT / "docs" / "peers.md"
README = ROOT / "README.md"
# Below this many percent other programs cannot have changed the picture.
QUIET = 5
BUSY = "The machine was busy: no time here is reliable, and packages that use several threads lose most."

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a package.

    Attributes:
        title: Its heading, with its unit.
        of: Return it from the figures of a package, None where there is none.
        higher: Whether a higher figure is better.
        ratio: Its key among the ratios, if it has one.
    """

    title: str
    of: Callable[[Row], float | None]
    higher: bool = False
    ratio: str = ""


def begin(name: str) -> str:
    """Return the comment before a generated block."""
    return f"<!-- {name}: made by `python -m benchmarks peers --readme`; do not edit -->"


def end(name: str) -> str:
    """Return the comment after a generated block."""
    return f"<!-- end of {name} -->"


def replace_block(text: str, name: str, block: str) -> str:
    """Return the text with a new block between its two comments.

    Raises:
        ValueError: The comments are not there.
    """
    if text.count(begin(name)) != 1 or text.count(end(name)) != 1:
        raise ValueError(f"expected the comments {begin(name)} and {end(name)} once each")
    before, _, rest = text.partition(begin(name))
    _, _, after = rest.partition(end(name))
    return f"{before}{begin(name)}\n{block.strip()}\n{end(name)}{after}"


def write_tables(document: dict[str, Any], page: Path = PAGE, readme: Path = README) -> None:
    """Write the tables into the page and the comparison into the README."""
    blocks = {page: ("peers", page_tables(document)), readme: ("comparison", readme_table(document))}
    for path, (name, block) in blocks.items():
        path.write_text(replace_block(path.read_text(encoding="utf-8"), name, block), encoding="utf-8")


def quality_measures(document: dict[str, Any]) -> Iterator[Measure]:
    """Yield accuracy, macro-F1 and ECE of each labelled set."""
    for one in document["data"]:
        for key, title in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("ece", "ECE")):
            yield Measure(f"{one['name']}: {title}, %", _quality(one["name"], key), higher=key != "ece")


def cost_measures() -> tuple[Measure, ...]:
    """Return what a face costs, and what a package takes."""
    sizes = {"1": "one face, ms", "8": "of 8 faces, ms each", "32": "of 32 faces, ms each"}
    return (
        Measure("command to first label, s", lambda row: row.get("cold_s"), ratio="cold_s"),
        *(Measure(title, _milliseconds(n), ratio=f"ms.{n}") for n, title in sizes.items()),
        Measure("memory, MB", lambda row: row.get("peak_mb")),
        Measure("installed, MB", lambda row: row.get("installed_mb")),
    )


def clip_measures(document: dict[str, Any]) -> Iterator[Measure]:
    """Yield the whole way from frame to labels, for each clip."""
    for clip in document["clips"]:
        name = clip["name"]
        yield Measure(f"{name}: frames/s", _clip(name, "frames_per_s"), higher=True, ratio=f"clips.{name}")


def _quality(name: str, key: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("quality", {}).get(name, {}).get(key)


def _milliseconds(n: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("ms", {}).get(n)


def _clip(name: str, key: str) -> Callable[[Row], float | None]:
    return lambda row: row.get("clips", {}).get(name, {}).get(key)


def best(rows: Sequence[Row], measure: Measure) -> set[int]:
    """Return the rows that hold the best figure, as the tables show it."""
    shown = {at: float(cell(value)) for at, row in enumerate(rows) if (value := measure.of(row)) is not None}
    if len(shown) < 2:
        return set()
    value = (max if measure.higher else min)(shown.values())
    return {at for at, one in shown.items() if one == value}


def ahead(document: dict[str, Any]) -> list[tuple[Measure, Row, float]]:
    """Return the measures in which another package is ahead of Moodspace, the package, and Moodspace's own figure.

    Moodspace's figure is that of its default view, even where its other view is ahead of all.
    """
    first, *others = document["peers"]
    others = [row for row in others if not row["name"].startswith("Moodspace")]
    found = []
    for measure in (*quality_measures(document), *clip_measures(document), *cost_measures()):
        own = measure.of(first)
        theirs = [value for row in others if (value := measure.of(row)) is not None]
        if own is None or not theirs:
            continue
        value = (max if measure.higher else min)(theirs)
        # As the tables show them: what looks the same is nobody's lead.
        shown, mine = float(cell(value)), float(cell(own))
        if shown > mine if measure.higher else shown < mine:
            found.append((measure, next(row for row in others if measure.of(row) == value), own))
    return found


def told(document: dict[str, Any]) -> str:
    """Return when, where and on what the figures were measured."""
    sets = " and ".join(
        f"{one['faces']} faces of `{one['name']}`"
        + (f" (of {one['total']}, drawn at random with seed 0)" if one["faces"] < one["total"] else "")
        for one in document["data"]
    )
    clips = " and ".join(
        f"the first {one['frames']} frames of `{one['name']}` ({one['width']}x{one['height']})"
        for one in document["clips"]
    )
    rounds = document["rounds"]
    others = document["others_percent"]
    busy = "" if others is None else f", {others:g} % of the processor used by other programs during the run"
    return (
        f"{document['date']}, {document['machine']}, load {document['load']:g} before the run{busy}, commit "
        f"{document['commit']}. Inputs: {sets}; {clips}. Times are medians of {rounds} round{'s' * (rounds != 1)}, in "
        "each of which every package ran once, one after the other." + _warning(document)
    )


def _warning(document: dict[str, Any]) -> str:
    others = document["others_percent"]
    return "" if others is None or others <= QUIET else f" **{BUSY}**"


def told_shortly(document: dict[str, Any]) -> str:
    """Return when and where the figures were measured, as the README says it."""
    sets = " and ".join(f"{one['faces']} faces of `{one['name']}`" for one in document["data"])
    return f"{document['date']}, {document['machine']}; {sets}.{_warning(document)}"


def page_tables(document: dict[str, Any]) -> str:
    """Return all tables, as docs/peers.md shows them."""
    rows = document["peers"]
    parts = [
        told(document),
        "## The packages",
        _package_table(rows),
        "## What they read\n\nBold: the best of a column.",
        *_quality_tables(document),
        "## What it costs\n\nReady faces of 48x48 pixels; a command is a new process until one of them is labeled. "
        "Memory is the peak of the process that read faces and clips. The views of Moodspace cost the same.",
        _cost_table(rows),
        "How many times as fast as Moodspace, in medians of the rounds' ratios; above 1 the package is faster:",
        _ratio_table(rows),
        "## From frame to labels\n\nEvery frame is searched for faces and every face is labeled. A mode for live "
        "video, where a package has one, may skip work.",
        *_clip_tables(document),
        "## Where another package is ahead\n\nOf Moodspace's default view:",
        _ahead_list(document),
    ]
    if document["search"]:
        parts += [
            "## Search\n\nThe 50 nearest neighbors among nine tenths of the shipped gallery, asked for by the rest.",
            _search_table(document["search"]),
        ]
    if document["map"]:
        parts += ["## Map\n\nOf the same vectors; the rest is placed on it. One round.", _map_table(document["map"])]
    used = [f"- **{one['name']}.** {' '.join(one['used'].split())}" for one in settings()["peer"]]
    parts += ["## How each was used", "\n".join(used)]
    failures = [f"- {row['name']}: {line}" for row in rows for line in row.get("failures", [])]
    if failures:
        parts += ["## What failed", "\n".join(failures)]
    return "\n\n".join(parts)


def _package_table(rows: Sequence[Row]) -> str:
    sizes = (("network_mb", 1, "network, MB"), ("weights", 1e3, "weights, thousands"),
             ("multiply_adds", 1e6, "multiply-adds a face, millions"))  # fmt: skip
    lines = [
        [row["name"], row["version"] or "did not run", row["license"],
         *("" if row.get(key) is None else cell(row[key] / unit) for key, unit, _ in sizes)]
        for row in rows
    ]  # fmt: skip
    return table(["", "version", "license", *(title for _, _, title in sizes)], lines)


def _quality_tables(document: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in document["peers"] if row.get("quality")]
    for one in document["data"]:
        measures = [measure for measure in quality_measures(document) if measure.title.startswith(f"{one['name']}: ")]
        yield f"### {one['name']}"
        titles = (measure.title.removeprefix(f"{one['name']}: ") for measure in measures)
        yield table(["", *titles], [[row["name"], *_cells(rows, at, measures)] for at, row in enumerate(rows)])


def _cost_table(rows: Sequence[Row]) -> str:
    measures = cost_measures()
    timed = [row for row in rows if "ms" in row or "cold_s" in row]
    return table(
        ["", *(one.title for one in measures)],
        [[row["name"], *_cells(timed, at, measures)] for at, row in enumerate(timed)],
    )


def _ratio_table(rows: Sequence[Row]) -> str:
    measures = [one for one in cost_measures() if one.ratio]
    titles = [one.title.partition(",")[0] for one in measures]
    lines = [
        [row["name"], *(cell(row["ratios"].get(one.ratio), 2) for one in measures)] for row in rows if row.get("ratios")
    ]
    return table(["", *titles], lines)


def _clip_tables(document: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in document["peers"] if row.get("clips")]
    for clip in document["clips"]:
        name = clip["name"]
        (speed,) = (one for one in clip_measures(document) if one.ratio == f"clips.{name}")
        lines = []
        for at, row in enumerate(rows):
            (shown,) = _cells(rows, at, [speed])
            ratio = row.get("ratios", {}).get(speed.ratio)
            faces, live = _clip(name, "faces")(row), _clip(name, "live_per_s")(row)
            lines.append([row["name"], shown, cell(ratio, 2), cell(faces, 2), cell(live)])
        yield f"### {name}"
        yield table(["", "frames/s", "times Moodspace", "faces a frame", "frames/s, live mode"], lines)


def _ahead_list(document: dict[str, Any]) -> str:
    lines = [
        f"- {measure.title}: **{row['name']}** {cell(measure.of(row))}, Moodspace {cell(own)}"
        for measure, row, own in ahead(document)
    ]
    return "\n".join(lines) or "- nowhere in this run"


def _search_table(rows: Sequence[Row]) -> str:
    return table(
        ["", "version", "build, ms", "one, ms", "of 8, ms each", "of 32, ms each", "recall, %", "memory, MB"],
        [
            [row["name"], row["version"], cell(row["build_ms"]), *(cell(row["ms"][n], 2) for n in ("1", "8", "32")),
             cell(100 * row["recall"]), cell(row["peak_mb"])]
            for row in rows
        ],
    )  # fmt: skip


def _map_table(rows: Sequence[Row]) -> str:
    return table(
        ["", "version", "draw, s", "place the first, s", "place one, ms", "of many, ms each", "trustworthiness",
         "k-NN accuracy, %", "of placed faces, %", "memory, MB"],
        [
            [row["name"], row["version"], cell(row["fit_s"]), cell(row["first_place_s"], 2), cell(row["place_ms"]),
             cell(row["place_many_ms"], 2), cell(row["trustworthiness"], 3), cell(100 * row["knn_accuracy"]),
             cell(100 * row["placed_accuracy"]), cell(row["peak_mb"])]
            for row in rows
        ],
    )  # fmt: skip


def readme_table(document: dict[str, Any]) -> str:
    """Return the comparison of the README: a line for each measure, the best figure bold."""
    rows = [row for row in document["peers"] if row["short"]]
    winners = {measure.title: row for measure, row, _ in ahead(document)}
    lines = []
    for measure in (*quality_measures(document), *clip_measures(document), *cost_measures()):
        shown = [measure.of(row) for row in rows]
        bold = best(rows, measure)
        cells = [f"**{cell(value)}**" if at in bold else cell(value) for at, value in enumerate(shown)]
        winner = winners.get(measure.title)
        lines.append([measure.title, *cells, (winner["short"] or winner["name"]) if winner else ""])
    return (
        f"{told_shortly(document)}\n\n"
        + table(["", *(row["short"] for row in rows), "ahead of Moodspace"], lines)
        + "\n\nBold: the best of a line. Moodspace was chosen and calibrated on both sets, which favors it. "
        "[How each was used, what the figures do not say, ratios, search and map](docs/peers.md)."
    )  # fmt: skip


def _cells(rows: Sequence[Row], at: int, measures: Sequence[Measure]) -> Iterator[str]:
    for measure in measures:
        shown = cell(measure.of(rows[at]))
        yield f"**{shown}**" if at in best(rows, measure) else shown


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def cell(value: float | None, digits: int | None = None) -> str:
    """Return a figure as the tables show it: two digits after the point below 2, one below 100, none above."""
    if value is None:
        return ""
    if digits is None:
        digits = 2 if abs(value) < 2 else 1
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.0f}"
