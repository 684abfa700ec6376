"""What a check of the faults tried, and what went wrong: one row of the table."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# The first faults are told in words; all are counted.
_TOLD = 5


@dataclass(slots=True)
class Outcome:
    """The counts of one check.

    Attributes:
        name: What was checked.
        tried: How many faults were made: kills, changed inputs, clients, attempts to write.
        landed: How many of them had an effect to survive: kills inside a write, inputs that were refused or changed
            what came out, attempts that failed.
        faults: What went wrong, one line each.
        counts: Further counts by name, such as `lost` and `mixed`.
        seconds: How long it took.
    """

    name: str
    tried: int = 0
    landed: int = 0
    faults: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def fault(self, text: str) -> None:
        """Note a fault."""
        self.faults.append(" ".join(text.split())[:600])

    def figures(self) -> dict[str, Any]:
        """Return the counts as plain JSON values; of the faults the first ones in words."""
        values = asdict(self) | {"faults": len(self.faults), "seconds": round(self.seconds, 1)}
        return values | ({"told": self.faults[:_TOLD]} if self.faults else {})


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is tried.

    Attributes:
        kills: How many writers are killed, over all kinds of files.
        mutants: How many changed inputs are read, over all parsers and entry points.
        clients: How many clients the server gets at once.
        seconds: How long they stay.
        seed: Which instants and which changes.
    """

    kills: int
    mutants: int
    clients: int = 50
    seconds: float = 5.0
    seed: int = 17

    @property
    def is_full(self) -> bool:
        """Whether it may take more than a minute."""
        return self.mutants >= 2000


Check = Callable[[Amount, Path], list[Outcome]]


def timed(work: Callable[[], list[Outcome]]) -> list[Outcome]:
    """Do work that returns outcomes; the seconds that no outcome has yet are shared by those without any."""
    began = time.perf_counter()
    outcomes = work()
    left = time.perf_counter() - began - sum(one.seconds for one in outcomes)
    untimed = [one for one in outcomes if not one.seconds]
    for one in untimed:
        one.seconds = left / len(untimed)
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table in Markdown, with a row of sums."""
    lines = ["| what | tried | landed | faults | more | seconds |", "|---|---|---|---|---|---|"]
    for one in outcomes:
        more = ", ".join(f"{value:,g} {name.replace('_', ' ')}" for name, value in one.counts.items())
        lines.append(
            f"| {one.name} | {one.tried:,} | {one.landed:,} | {len(one.faults)} | {more} | {one.seconds:.0f} |"
        )
    sums = [sum(values) for values in zip(*((one.tried, one.landed, len(one.faults)) for one in outcomes), strict=True)]
    if sums:
        lines.append(f"| **all** | {sums[0]:,} | {sums[1]:,} | {sums[2]} | | {sum(o.seconds for o in outcomes):.0f} |")
    return "\n".join(lines)
