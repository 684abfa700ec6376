"""List and run the benchmarks, keep their figures, and draw the figures over time.

    python -m benchmarks
    python -m benchmarks cost --bundle bundles/fer2013
    python -m benchmarks all --faces fer2013/validation.parquet --train fer2013/train.parquet --clip class.mp4
    python -m benchmarks page

The name of a benchmark runs it with its own arguments, which NAME --help lists; `all` runs every benchmark whose inputs
are given, in turn, with the arguments in `runs.toml`. Both append a line for each run to the results,
`benchmarks/results.jsonl` unless `--results` names another file: when, at which commit, on which machine and under what
load, and every figure of the JSON that the benchmark printed. Shown are the figures with their change since the last
run with the same arguments on the same machine; `--json` shows the documents instead. `page` draws each figure over
time as one page.
"""

import argparse
import ast
import sys
from pathlib import Path

from benchmarks.results import (
    FOLDER,
    append_run,
    benchmark_modules,
    read_runs,
    run_before,
    run_benchmark,
    runs_of_inputs,
    told,
)
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
    return {name: _first_paragraph(path) for name, path in benchmark_modules().items()}


def _first_paragraph(path: Path) -> str:
    written = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(written.split("\n\n")[0].split())


def main(words: list[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit status, that of the worst run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of results, JSON lines")
    verbs = ("list", "all", "page")
    parser.add_argument(
        "what", choices=[*verbs, *benchmarks()], metavar="list | all | page | NAME", help="list is the default"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments; NAME --help lists them")
    words = sys.argv[1:] if words is None else words
    asked = parser.parse_args(words or ["list"])
    if asked.what not in verbs:
        return _run(asked.what, asked.arguments, asked.results)
    own = argparse.ArgumentParser(prog=f"python -m benchmarks {asked.what}")
    if asked.what == "all":
        for name, text in INPUTS.items():
            own.add_argument(f"--{name}", help=text)
        own.add_argument("--bundle", default="bundles/fer2013", help="the bundle to measure")
        return _run_all(vars(own.parse_args(asked.arguments)), asked.results)
    if asked.what == "page":
        own.add_argument("--out", type=Path, default=Path("build/benchmarks.html"), help="the page to write")
        return _draw(asked.results, own.parse_args(asked.arguments).out)
    own.parse_args(asked.arguments)
    return _list()


def _list() -> int:
    texts, modules = benchmarks(), benchmark_modules()
    width = max(map(len, texts))
    for folder in sorted({path.parent for path in modules.values()}):
        print(f"{folder.name}: {_first_paragraph(folder / '__init__.py')}")
        print("\n".join(f"  {name:{width}}  {texts[name]}" for name in texts if modules[name].parent == folder))
    return 0


def _run(name: str, arguments: list[str], results: Path) -> int:
    try:
        earlier = read_runs(results) if results.exists() else []
    except (OSError, ValueError) as error:
        print(f"{results}: {error}", file=sys.stderr)
        return 1
    run = run_benchmark(name, arguments)
    if "--help" in arguments or "-h" in arguments:
        return run.exit
    if "--json" not in arguments and run.figures:
        before = run_before(earlier, run)
        since = f", changes since {before.time}, commit {before.commit or 'unknown'}" if before else ""
        print(f"{name}: {run.machine}, load {'unknown' if run.load is None else run.load}{since}")
        print(told(run, before))
    try:
        append_run(results, run)
    except OSError as error:
        print(f"{results}: expected a file that can be written, got {error.strerror}", file=sys.stderr)
        return 1
    kept = "its output" if not run.figures else f"{len(run.figures)} figures"
    end = "" if not run.exit else f"; it ended with {run.exit}: a missed target or a failure"
    print(f"{name}: {run.seconds:.0f} s, {kept} kept in {results}{end}", file=sys.stderr)
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
