"""List and run the benchmarks, keep their figures, and draw the figures over time.

    python -m benchmarks
    python -m benchmarks run cost --bundle bundles/fer2013
    python -m benchmarks all --faces fer2013/validation.parquet --train fer2013/train.parquet --clip class.mp4
    python -m benchmarks page

`run` takes the arguments of one benchmark; `all` runs every benchmark whose inputs are given, in turn, with the
arguments in `runs.toml`. Both append a line for each run to the results, `benchmarks/results.jsonl` unless `--results`
names another file: when, at which commit, on which machine and under what load, and every figure of the JSON that the
benchmark printed. `page` draws each figure over time as one page.
"""

import argparse
import ast
import sys
from pathlib import Path

from benchmarks.results import FOLDER, append_run, read_runs, run_benchmark, runs_of_inputs
from benchmarks.results_page import results_page

RESULTS = FOLDER / "results.jsonl"
# The inputs that `all` takes, by their names in runs.toml.
INPUTS = {
    "faces": "labelled faces that no training has seen",
    "train": "the labelled faces of the training",
    "clip": "a video with faces",
}


def benchmarks() -> dict[str, str]:
    """Return the first paragraph on each benchmark by its name, in alphabetical order."""
    found = {}
    for path in sorted([*FOLDER.glob("*.py"), *FOLDER.glob("*/__main__.py")]):
        content = path.read_text(encoding="utf-8")
        name = path.parent.name if path.parent != FOLDER else path.stem
        if name != "__main__" and '__name__ == "__main__"' in content:
            found[name] = " ".join((ast.get_docstring(ast.parse(content)) or "").split("\n\n")[0].split())
    return dict(sorted(found.items()))


def main(words: list[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit status, that of the worst run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of results, JSON lines")
    verbs = parser.add_subparsers(dest="verb", metavar="list | run | all | page")
    verbs.add_parser("list", help="list the benchmarks, the default")
    one = verbs.add_parser("run", help="run one benchmark and keep its figures")
    one.add_argument("name", choices=benchmarks(), metavar="NAME", help="a name from the list")
    one.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments; --help lists them")
    every = verbs.add_parser("all", help="run every benchmark whose inputs are given")
    for name, text in INPUTS.items():
        every.add_argument(f"--{name}", help=text)
    every.add_argument("--bundle", default="bundles/fer2013", help="the bundle to measure")
    draw = verbs.add_parser("page", help="draw the figures over time")
    draw.add_argument("--out", type=Path, default=Path("build/benchmarks.html"), help="the page to write")
    words = sys.argv[1:] if words is None else words
    # `python -m benchmarks faults` stands for `run faults`.
    asked = parser.parse_args(["run", *words] if words and words[0] in benchmarks() else words)
    if asked.verb == "run":
        return _run(asked.name, asked.arguments, asked.results)
    if asked.verb == "all":
        return _run_all({name: getattr(asked, name) for name in (*INPUTS, "bundle")}, asked.results)
    if asked.verb == "page":
        return _draw(asked.results, asked.out)
    width = max(map(len, benchmarks()))
    print("\n".join(f"{name:{width}}  {text}" for name, text in benchmarks().items()))
    return 0


def _run(name: str, arguments: list[str], results: Path) -> int:
    run = run_benchmark(name, arguments)
    if "--help" in arguments or "-h" in arguments:
        return run.exit
    append_run(results, run)
    print(f"{name}: {run.seconds:.0f} s, {len(run.figures)} figures kept in {results}", file=sys.stderr)
    return run.exit


def _run_all(inputs: dict[str, str | None], results: Path) -> int:
    worst = 0
    for name, arguments in runs_of_inputs(inputs).items():
        if isinstance(arguments, str):
            print(f"{name}: left out, needs --{arguments}", file=sys.stderr)
            continue
        worst = max(worst, _run(name, arguments, results))
    return worst


def _draw(results: Path, out: Path) -> int:
    try:
        runs = read_runs(results)
    except (OSError, ValueError) as error:
        print(f"{results}: {error}", file=sys.stderr)
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(results_page(runs), encoding="utf-8")
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
