"""The application: its options, how it prints, and how an error becomes one line and an exit code.

Data go to stdout, progress and errors to stderr. Exit codes: 0 success, 1 failure, 2 usage, 3 bundle or gallery missing
or unusable, 4 no camera, source or face, 130 stopped by Ctrl-C. Heavy imports happen in the commands that need them, so
that `--help` and `live` start at once.
"""

import contextlib
import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from moodspace import __version__
from moodspace.bundles import shipped_bundle
from moodspace.errors import MoodspaceError, explain_import_error

if TYPE_CHECKING:
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.realtime.sinks.destination import SinkOptions


class _Command(TyperCommand):
    """A command that refuses an empty path, which Python would take for the current folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `rm -r "$UNSET"` is why an empty one is refused."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        hints = get_type_hints(self.callback) if self.callback else {}
        for param in self.params:
            values = given.get(param.name or "")
            if "" in (values if isinstance(values, list | tuple) else [values]) and _takes_path(hints.get(param.name)):
                raise typer.BadParameter("expected a path, got an empty one", ctx=ctx, param_hint=param.opts[0])
        return super().parse_args(ctx, args)


def _takes_path(hint: Any) -> bool:
    return hint is Path or any(_takes_path(part) for part in get_args(hint))


P = ParamSpec("P")


R = TypeVar("R")


Stage = Callable[[int, int], None]


_shown = {"traceback": False}


BundleOption = Annotated[Path, typer.Option("--bundle", help="Bundle to use.")]


LabelsOption = Annotated[str | None, typer.Option("--labels", help="View to predict: blend, fer2013 or ferplus.")]


PriorOption = Annotated[
    str,
    typer.Option(
        "--prior",
        help="How common each class is where you use it: data (as in the training faces), balanced (all equally, "
        "which finds more of the rare ones), or a JSON file with a number for each class.",
    ),
]


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


DetectorOption = Annotated[str, typer.Option("--detector", help="Face detector: centerface or yunet.")]


DetectorModelOption = Annotated[Path | None, typer.Option("--detector-model", help="The detector's ONNX file.")]


GalleryOption = Annotated[
    Path | None,
    typer.Option(
        "--gallery", envvar="MOODSPACE_GALLERY", help="Folder of your taught faces; by default in your user data."
    ),
]


KeepPicturesOption = Annotated[
    bool,
    typer.Option("--keep-pictures", help="Keep small gray pictures of taught faces in your gallery, as evidence."),
]


PicturesOption = Annotated[
    Path | None,
    typer.Option(
        "--pictures", help="Data that the bundle was built from, such as fer2013/train.parquet: shows its faces."
    ),
]


CropsOption = Annotated[bool, typer.Option("--crops", help="Treat each picture as one cropped face.")]


ToOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        help="Send the values of each frame; repeatable: ws://127.0.0.1:8770, osc://HOST:PORT, mqtt://HOST/TOPIC, "
        "lsl:NAME, FILE.jsonl, FILE.parquet.",
    ),
]


TLSCertOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="Certificate of a wss:// server, PEM; with --tls-key.")
]


TLSKeyOption = Annotated[Path | None, typer.Option("--tls-key", help="Private key of a wss:// server, PEM.")]


TLSCAOption = Annotated[
    Path | None,
    typer.Option("--tls-ca", help="Certificates to check an mqtts:// broker with, PEM; by default the system's."),
]


UnprotectedOption = Annotated[
    bool,
    typer.Option("--unprotected", help="Also send to other machines without encryption or password, as OSC does."),
]


def _shipped_bundle() -> Path:
    bundle = shipped_bundle()
    # Short where it can be, as in a checkout.
    return Path(os.path.relpath(bundle)) if bundle.is_relative_to(Path.cwd()) else bundle


DEFAULT_BUNDLE = _shipped_bundle()


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Recognize the expressions that faces show: live, in pictures and in videos. Teach your own.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"moodspace {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    _shown["traceback"] = debug


def command(run: Callable[P, R]) -> Callable[P, R]:
    """Register a command that reports an error as one line and an exit code."""
    guarded = guard(run)
    app.command(cls=_Command)(guarded)
    return guarded


# Which extra a command needs.
_EXTRA_OF = {"train": "train", "evaluate": "train", "explore": "all", "curves": "map", "visualize": "map", "web": "web"}


# Commands whose matrix products are small: OpenBLAS's further threads would only wait in a loop, on processors that the
# networks need.
_SMALL_PRODUCTS = {"demo", "live", "predict", "similar", "web"}


def guard(run: Callable[P, R]) -> Callable[P, R]:
    """Make a command report an error as one line and an exit code."""

    @functools.wraps(run)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if run.__name__ in _SMALL_PRODUCTS:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            return run(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output has gone, as `head` does; Python would complain again when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if _shown["traceback"]:
                raise
            say("error: " + in_words(error, _EXTRA_OF.get(run.__name__)))
            raise typer.Exit(error.exit_code if isinstance(error, MoodspaceError) else 1) from None

    return guarded


def in_words(error: Exception, extra: str | None = None) -> str:
    """Return an error as one line; for an unexpected one, also say how to report it.

    Args:
        error: What went wrong.
        extra: The extra that installs what the command needs, named where a package is missing.
    """
    line = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        # Without "[Errno 28]", and with the file first, as in every other error.
        named = f"{error.filename}: " if error.filename not in (None, "") else ""
        advice = "; free some or name another folder" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{named}{error.strerror[0].lower()}{error.strerror[1:]}{advice}"
    if isinstance(error, RuntimeError) and line.startswith("Symlink loop"):
        # What Python before 3.13 says of a path that is resolved.
        looped = line.partition("'")[2].rstrip("'")
        return f"{looped}: expected a path, found a link that leads back to itself"
    if isinstance(error, MemoryError):
        return f"expected more free memory, ran out of it{': ' if line else ''}{line}; close programs or take less data"
    if isinstance(error, ImportError):
        return explain_import_error(error, extra)
    if isinstance(error, ValueError | OSError):
        return line
    where = "this is a fault of Moodspace: run `moodspace --debug ...` again and report what it prints"
    return f"{type(error).__name__}: {line or 'no words'}; {where}"


def say(text: str) -> None:
    """Print a line on stderr."""
    typer.echo(text, err=True)


def tell_lines(lines: Callable[[], list[str]]) -> None:
    """Print what a function returns on stderr, line by line."""
    for line in lines():
        say(line)


def progress_bars() -> "contextlib.AbstractContextManager[Callable[[str], Stage]]":
    """Return a function from a stage's name to its progress callback: bars on a terminal, lines in a pipe."""
    from moodspace.realtime.progress import progress_bars as bars

    return bars(sys.stderr, say)


def print_json(document: Any) -> None:
    """Print one document on one line."""
    typer.echo(json.dumps(document, allow_nan=False))


def tell_skipped(skipped: list[tuple[str, str]]) -> None:
    """Name and count what could not be read."""
    for source, reason in skipped:
        say(f"skipped {source}: {reason}")
    if skipped:
        say(f"{len(skipped)} skipped")


def tell_some(named: list[tuple[str, str]], what: str, most: int = 20) -> None:
    """Name the first few failures and count the rest."""
    for source, reason in named[:most]:
        say(f"{what} {source}: {reason}")
    if len(named) > most:
        say(f"and {len(named) - most} more; --json lists all")


def open_recognizer(
    bundle: Path, labels: str | None, *, prior: str = "data", pictures: Path | None = None
) -> "Recognizer":
    """Load a bundle, choose one of its views, and adjust it to a prior; read pictures of its faces if named."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.priors import read_prior
    from moodspace.classifier.recognizer import Recognizer

    loaded = load_bundle(bundle)
    if labels is not None and labels not in loaded.views:
        raise typer.BadParameter(f"expected one of {', '.join(loaded.views)}, got {labels!r}", param_hint="--labels")
    recognizer = Recognizer(loaded, labels, prior=read_prior(prior, loaded.views[labels or loaded.default_labels]))
    if pictures is not None:
        from moodspace.classifier.face_pictures import FacePictures

        recognizer.pictures = FacePictures.read(pictures, loaded)
        say(f"{len(recognizer.pictures):,} of {len(loaded.index):,} gallery faces have a picture")
    return recognizer


def open_taught_recognizer(
    bundle: Path, labels: str | None, gallery: Path | None, *, prior: str = "data", pictures: Path | None = None
) -> "Recognizer":
    """Load a bundle, choose one of its views, and follow the user's gallery.

    A gallery that was not asked for must not stop a bundle that it was not taught with.
    """
    from moodspace.index.store.commit import GalleryError
    from moodspace.index.taught.user_gallery import FollowedGallery, default_gallery

    recognizer = open_recognizer(bundle, labels, prior=prior, pictures=pictures)
    try:
        followed = FollowedGallery(gallery or default_gallery(), recognizer.bundle.encoder_spec)
        recognizer.taught, recognizer.pictures = followed, recognizer.pictures.with_taught(followed.pictures)
    except GalleryError as error:
        if gallery is not None:
            raise
        say(f"continuing without your taught faces: {error}")
    return recognizer


def sink_options(
    to: list[str] | None,
    individuals: bool,
    min_group: int,
    unprotected: bool,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
) -> "SinkOptions":
    """Return what `--to` sends and how; raise a usage error for destinations that cannot be used."""
    from moodspace.realtime.sinks.destination import SinkError, SinkOptions, destinations_of

    if not to and (unprotected or cert or key or ca):
        raise typer.BadParameter(
            "expected --to beside --unprotected and the options of TLS, got none", param_hint="--to"
        )
    try:
        options = SinkOptions.from_environment(
            individuals=individuals, min_group=min_group, unprotected=unprotected, cert=cert, key=key, ca=ca
        )
        destinations_of(to or (), options)
    except SinkError:
        raise
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from error
    return options


def main() -> None:
    """Run the command line. Stdout is flushed first, so that a write error sets the exit code."""
    code: Any = 0
    try:
        try:
            app()
        except SystemExit as ending:
            code = ending.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            say(f"error: stdout: {in_words(error)}")
        code = code or 1
    sys.exit(code)
