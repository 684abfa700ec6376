#!/usr/bin/env python3
"""The command line: where sources, bundle, pipeline and pictures meet.

Data go to stdout, progress and complaints to stderr. Exit codes: 0 well, 1 failure, 2 usage, 3 bundle or gallery
missing or unusable, 4 no camera, source or face, 130 stopped by Ctrl-C. Everything heavy is imported in the command
that needs it, so that `--help` and `live` start at once.
"""

# One file and over 250 lines: the commands are the table of contents, and thin.

import contextlib
import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from moodspace.classifier.bundle.bundle import Bundle
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.embeddings.data.labelled import LabelledFaces
    from moodspace.realtime.capture.source import Source
    from moodspace.realtime.pipeline import FrameResult
    from moodspace.viz.map.faces import TaughtOnMap


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


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Recognise the expressions that faces show, live; search them, teach them, see them on a map.",
)

P = ParamSpec("P")
R = TypeVar("R")
Stage = Callable[[int, int], None]

# By name, because importing the classes would import what raises them.
_EXIT_CODES = {
    "BundleError": 3,
    "GalleryError": 3,
    "StorageError": 3,
    "EncoderError": 3,
    "SessionError": 3,
    "SourceError": 4,
}
_shown = {"traceback": False}

BundleOption = Annotated[Path, typer.Option("--bundle", help="The bundle to use.")]
LabelsOption = Annotated[str | None, typer.Option("--labels", help="View to predict: blend, fer2013 or ferplus.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
DetectorOption = Annotated[str, typer.Option("--detector", help="Face detector: centerface or yunet.")]
DetectorModelOption = Annotated[Path | None, typer.Option("--detector-model", help="The detector's ONNX file.")]
GalleryOption = Annotated[
    Path | None,
    typer.Option("--gallery", envvar="MOODSPACE_GALLERY", help="Folder of what you taught; default in your user data."),
]
CropsOption = Annotated[bool, typer.Option("--crops", help="Take each whole picture as one face.")]
# Below this many validation faces the 95 % interval of an accuracy is wider than 10 points on either side.
FEW_FACES = 100
DEFAULT_BUNDLE = Path(os.path.relpath(Path(__file__).parent / "bundles" / "fer2013"))


def _tell_version(wanted: bool) -> None:
    if wanted:
        from moodspace import __version__

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
    """Register a command that tells an error in one line and an exit code."""
    guarded = guard(run)
    app.command(cls=_Command)(guarded)
    return guarded


def guard(run: Callable[P, R]) -> Callable[P, R]:
    """Make a command tell an error in one line and an exit code."""

    @functools.wraps(run)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
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
            say("error: " + in_words(error))
            raise typer.Exit(_EXIT_CODES.get(type(error).__name__, 1)) from None

    return guarded


def in_words(error: Exception) -> str:
    """Return one line on an error; one that nobody foresaw also says how to report it."""
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
    if isinstance(error, ValueError | OSError | ImportError):
        return line
    where = "this is a fault of Moodspace: run `python cli.py --debug ...` again and report what it prints"
    return f"{type(error).__name__}: {line or 'no words'}; {where}"


def say(text: str) -> None:
    """Tell the person, on stderr."""
    typer.echo(text, err=True)


def progress_bars() -> "contextlib.AbstractContextManager[Callable[[str], Stage]]":
    """Give a function from a stage's name to what is called as it goes on: bars, or in a pipe lines, on stderr."""
    from moodspace.realtime.progress import progress_bars as bars

    return bars(sys.stderr, say)


def print_json(document: Any) -> None:
    """Print one document on one line."""
    typer.echo(json.dumps(document, allow_nan=False))


def open_recognizer(bundle: Path, labels: str | None) -> "Recognizer":
    """Load a bundle and choose one of its views."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.recognizer import Recognizer

    loaded = load_bundle(bundle)
    if labels is not None and labels not in loaded.views:
        raise typer.BadParameter(f"expected one of {', '.join(loaded.views)}, got {labels!r}", param_hint="--labels")
    return Recognizer(loaded, labels)


def open_taught_recognizer(bundle: Path, labels: str | None, gallery: Path | None) -> "Recognizer":
    """Load a bundle, choose one of its views, and follow what the user teaches.

    A gallery that was not asked for must not stop a bundle that it was not taught with.
    """
    from moodspace.classifier.user_gallery import FollowedGallery, default_gallery
    from moodspace.index.store.commit import GalleryError

    recognizer = open_recognizer(bundle, labels)
    try:
        recognizer.taught = FollowedGallery(gallery or default_gallery(), recognizer.bundle)
    except GalleryError as error:
        if gallery is not None:
            raise
        say(f"going on without what you taught: {error}")
    return recognizer


def doubt_of(face: dict[str, Any]) -> str:
    """Return " (unsure)" for a face that is unknown, with the reason where it cannot be read; else nothing."""
    if not face["unknown"]:
        return ""
    reason = (face.get("quality") or {}).get("reason")
    return f" (unsure: {reason})" if reason else " (unsure)"


def describe(result: "FrameResult", recognizer: "Recognizer") -> Iterator[str]:
    """Say in words what each face shows, and which neighbours say so."""
    from moodspace.realtime.documents import face_documents

    for number, face in enumerate(face_documents(result, recognizer), 1):
        doubt = doubt_of(face)
        yield f"face {number}: {face['expression']} {face['confidence']:.0%}{doubt}"
        likely = sorted(face["probabilities"].items(), key=lambda item: -item[1])[:3]
        yield "  probabilities: " + ", ".join(f"{name} {p:.0%}" for name, p in likely)
        votes = result.prediction.knn_proba[number - 1]
        told = sorted(zip(result.prediction.classes, votes, strict=True), key=lambda item: -item[1])[:3]
        yield "  votes: " + ", ".join(f"{name} {p:.0%}" for name, p in told)
        for neighbor in face["neighbors"]:
            yield f"  near: {neighbor['label'] or '-'} {neighbor['similarity']:.3f} {neighbor['source']}"


@command
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the annotated picture and clip.")] = Path("demo"),
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
) -> None:
    """Recognise the face in a public-domain picture: no camera and no download."""
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.realtime.demo import run_demo
    from moodspace.realtime.pipeline import Pipeline

    require_folder_at(out)
    recognizer = open_recognizer(bundle, labels)
    shown = run_demo(Pipeline(open_detector(working_sizes=(320,)), recognizer), out)
    for line in describe(shown.result, recognizer):
        typer.echo(line)
    typer.echo(f"wrote {shown.picture} and {shown.clip} ({shown.frames} frames)")


@command
def live(
    source: Annotated[str, typer.Option("--source", help="Camera number, file, address or folder.")] = "0",
    headless: Annotated[bool, typer.Option("--headless", help="Open no window.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a frame.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Show every frame of a file, as fast as possible.")] = False,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Pixels to ask a camera for.")] = None,
    height: Annotated[int | None, typer.Option("--height", min=1, help="Pixels to ask a camera for.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", min=1, help="Frames a second to ask a camera for.")] = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="Mirror the picture; the default for cameras.")
    ] = None,
    half_life: Annotated[float, typer.Option("--half-life", min=0, help="Smoothing half-life in seconds.")] = 0.5,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Record the session into a new folder within this one; numbers, no pictures."),
    ] = None,
    individuals: Annotated[
        bool, typer.Option("--individuals", help="Also record each face, in groups of any size.")
    ] = False,
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Record only while at least this many faces can be read.")
    ] = 5,
    keep_video: Annotated[bool, typer.Option("--keep-video", help="Record an annotated video, too.")] = False,
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", min=0, help="Delete sessions in the folder that are older.")
    ] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Watch a camera, a video or pictures; h tells the keys, q leaves the window."""
    from moodspace.classifier.user_gallery import LiveTeacher, default_gallery
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.realtime.capture.cameras import CameraOptions
    from moodspace.realtime.capture.files import open_source, without_password
    from moodspace.realtime.documents import live_document
    from moodspace.realtime.pipeline import LivePipeline
    from moodspace.realtime.session.notice import start_notice
    from moodspace.realtime.session.recording import Recording, RecordingOptions
    from moodspace.realtime.window.loop import live as watch
    from moodspace.realtime.window.screen import require_display

    if record is None and (individuals or keep_video or keep_days is not None):
        raise typer.BadParameter(
            "expected --record beside --individuals, --keep-video and --keep-days", param_hint="--record"
        )
    if not headless:
        require_display()
    recognizer = open_taught_recognizer(bundle, labels, gallery)
    pipeline = LivePipeline(open_detector(detector, detector_model), recognizer, half_life=half_life)
    teacher = LiveTeacher(gallery or default_gallery(), recognizer.bundle)
    on_result = (lambda frame, result: print_json(live_document(frame, result))) if as_json else None
    with contextlib.ExitStack() as stack:
        stack.callback(teacher.close)
        recording: Recording | None = None

        def on_event(event: str) -> None:
            say(event)
            if recording is not None:
                recording.interrupt(event)

        opened = open_source(source, options=CameraOptions(width, height, fps, mirror), on_event=on_event)
        if notice := start_notice(recording=record is not None):
            say(notice)
        if record is not None:
            keeping = RecordingOptions(record, individuals, min_group, keep_video, keep_days)
            recording = stack.enter_context(Recording(keeping, recognizer.classes, without_password(source)))
            group = "" if individuals or keep_video else f", once at least {min_group} faces can be read"
            say(f"recording to {recording.folder}{group}")
        frames = watch(
            opened, pipeline, show=not headless, fast=fast, on_result=on_result,
            record=recording.add if recording else None,
            recording=recording.state if recording else None, teach_face=teacher.teach, undo=teacher.undo,
        )  # fmt: skip
    tell_skipped([(s.source, s.reason) for s in opened.skipped])
    tell_unread(opened)
    say(f"{frames} frames")
    if recording is not None and not recording.kept:
        few = f"fewer than {min_group} faces could be read; see --min-group and --individuals"
        say(f"nothing was recorded: {few if not individuals else 'no face was in view'}")
    if opened.skipped or opened.incomplete:
        raise typer.Exit(1)


@command
def report(
    session: Annotated[Path, typer.Argument(help="A recorded session's folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The page to write; default session.html in the session's folder.")
    ] = None,
    export: Annotated[Path | None, typer.Option("--export", help="Write tables instead: .csv or .parquet.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the session instead.")] = False,
) -> None:
    """Summarise a recorded session on one page: what the group showed, when it changed, what was not recorded."""
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.realtime.session.export import export_session
    from moodspace.realtime.session.file import REPORT, delete_session
    from moodspace.realtime.session.reading import open_session
    from moodspace.viz.report.page import write_report

    if delete:
        if out or export:
            raise typer.BadParameter("expected no other option beside it", param_hint="--delete")
        typer.echo("deleted " + ", ".join(str(path) for path in delete_session(session)))
        return
    for path in (out, export):
        if path is not None:
            require_file_at(path)
    opened = open_session(session)
    if export is not None:
        typer.echo("wrote " + ", ".join(str(path) for path in export_session(opened, export)))
    if export is None or out is not None:
        page = out or (session if session.is_dir() else session.parent) / REPORT
        write_report(opened, page)
        typer.echo(f"wrote {page}")


@command
def predict(
    sources: Annotated[list[str], typer.Argument(help="Pictures, folders, videos.", metavar="SOURCE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line for each source.")] = False,
    crops: CropsOption = False,
    annotate: Annotated[Path | None, typer.Option("--annotate", help="Folder for annotated copies.")] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Say what the faces in pictures, folders and videos show."""
    from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.realtime.capture.files import open_source
    from moodspace.realtime.capture.source import SourceError
    from moodspace.realtime.pipeline import Pipeline, Process, WholePicture
    from moodspace.realtime.predict import predict_source

    if annotate is not None:
        require_folder_at(annotate)
    recognizer = open_taught_recognizer(bundle, labels, gallery)
    pictures: Process = WholePicture(recognizer)
    videos: Process | None = None
    if not crops:
        pictures = Pipeline(open_picture_detector(detector, detector_model), recognizer)
        videos = Pipeline(open_detector(detector, detector_model), recognizer)
    faces, skipped, partly, lost = 0, [], False, 0
    for name in sources:
        try:
            opened = open_source(name, files_only=True)
            for document in predict_source(opened, pictures, videos, annotate=annotate):
                shown = [document, *document.get("frames", ())]
                faces += sum(len(part.get("faces", ())) for part in shown)
                print_json(document) if as_json else print_document(document)
        except SourceError as error:
            if len(sources) == 1:
                raise
            skipped.append((name, str(error).removeprefix(f"{name}: ")))
            lost += 1
            continue
        skipped += [(s.source, s.reason) for s in opened.skipped]
        tell_unread(opened)
        partly |= bool(opened.incomplete)
    tell_skipped(skipped)
    if skipped or partly:
        raise typer.Exit(4 if lost == len(sources) else 1)
    if not faces:
        say("no face found")
        raise typer.Exit(4)


def print_document(document: dict[str, Any]) -> None:
    """Print a source's faces, or for a video how often each expression was shown."""
    if "frames" in document:
        shown: dict[str, int] = {}
        for face in (face for frame in document["frames"] for face in frame["faces"]):
            shown[face["expression"]] = shown.get(face["expression"], 0) + 1
        parts = ", ".join(f"{name} {n}" for name, n in sorted(shown.items(), key=lambda item: -item[1])) or "no face"
        typer.echo(f"{document['source']}: {len(document['frames'])} frames; {parts}")
        return
    typer.echo(f"{document['source']}: {len(document['faces'])} faces")
    for face in document["faces"]:
        box = " ".join(f"{value:.0f}" for value in face["xywh"])
        doubt = doubt_of(face)
        typer.echo(f"  {face['expression']} {face['confidence']:.0%}{doubt} at {box}")


def tell_unread(source: "Source") -> None:
    """Name what was read but for a part, and the files of a folder that are neither pictures nor videos."""
    for one in source.incomplete:
        say(f"{one.source}: {one.reason}")
    if count := len(source.left_out):
        names = ", ".join(Path(path).name for path in source.left_out[:5])
        more = f" and {count - 5} more" if count > 5 else ""
        what = "1 other file" if count == 1 else f"{count} other files"
        say(f"left out {what}, neither a picture nor a video: {names}{more}")


def tell_skipped(skipped: list[tuple[str, str]]) -> None:
    """Name and count what could not be read."""
    for source, reason in skipped:
        say(f"skipped {source}: {reason}")
    if skipped:
        say(f"{len(skipped)} skipped")


@command
def train(
    data: Annotated[Path, typer.Argument(help="Labelled faces: a folder, fer2013.csv or a parquet.")],
    out: Annotated[Path, typer.Option("--out", help="The bundle to make.")],
    validation: Annotated[Path | None, typer.Option("--validation", help="Labelled faces to validate on.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Split of DATA to train on; default train, or the only one.")
    ] = None,
    validation_split: Annotated[
        str | None,
        typer.Option(
            "--validation-split",
            help="Split to validate on, or the share of the training faces to hold out, as 0.2; default validation, "
            "or 0.1 where there is none.",
        ),
    ] = None,
    labels: Annotated[str, typer.Option("--labels", help="Label sets to learn, comma-separated; default all.")] = "",
    arch: Annotated[str, typer.Option("--arch", help="mobilenet_v2, cnn, vgg or resnet_se.")] = "mobilenet_v2",
    init: Annotated[str | None, typer.Option("--init", help="imagenet, a weights file, or none.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="At most so many; default by architecture.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of weights, order and augmentation.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of any field of embeddings.recipe.Recipe; repeats.")
    ] = None,
    teachers: Annotated[
        list[Path] | None, typer.Option("--teacher", help="<bundle>.training folder to distil from; repeats.")
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option("--merge", help="Train nothing: average finished <bundle>.training folders; repeats."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Train no further; bundle the best weights so far.")] = False,
    flips: Annotated[bool, typer.Option(help="Predict from each face and its mirror image, at twice the cost.")] = True,
    int8: Annotated[bool, typer.Option("--int8", help="Export in 8 bits: smaller, faster, nearly the same.")] = False,
    keep_weights: Annotated[bool, typer.Option(help="Put the Keras weights into the bundle.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Train a network on labelled faces, then index, calibrate and export it into a bundle."""
    from moodspace.classifier.bundle.splits import read_training_faces
    from moodspace.classifier.bundle.train import train_bundle
    from moodspace.classifier.metrics import wilson
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.embeddings.training.backend import native_log_filtered, prepare_keras
    from moodspace.embeddings.training.recipe import parse_settings, recipe_for

    if finish and not (out.with_name(out.name + ".training")).is_dir():
        raise typer.BadParameter(f"expected a training beside {out}, found none", param_hint="--finish")
    if merge and (len(merge) < 2 or teachers or resume or finish or settings):
        wanted = "expected two or more finished trainings, and no option of a training beside them"
        raise typer.BadParameter(wanted, param_hint="--merge")
    try:
        options = {"init": init, "epochs": epochs, "seed": seed}
        given = {name: value for name, value in options.items() if value is not None}
        recipe = recipe_for(**({"arch": arch} | parse_settings(settings or []) | given))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    require_folder_at(out)
    prepare_keras()
    with progress_bars() as start:
        read = read_training_faces(
            data, validation, split=split, validation_split=split_or_share(validation_split), seed=recipe.seed,
            progress=start,
        )  # fmt: skip
    faces, held_out = read.train, read.validation
    tell_skipped([(s.source, s.reason) for s in read.skipped])
    for note in read.notes:
        say(note)
    say(f"{len(faces)} faces to train on, {len(held_out)} to validate on")
    if len(held_out) < FEW_FACES:
        say(f"few faces to validate on ({len(held_out)}): their accuracy says little, see the 95 % intervals")
    names = [name.strip() for name in labels.split(",") if name.strip()]
    with native_log_filtered(), progress_bars() as start:
        epoch_bar = None if finish or merge else start("train, epochs")
        if epoch_bar is not None:
            epoch_bar(0, recipe.epochs)

        def report(epoch: int, row: dict[str, float]) -> None:
            if epoch_bar is not None:
                epoch_bar(epoch + 1, recipe.epochs)
            say(f"epoch {epoch + 1}: loss {row['loss']:.3f}, validation accuracy {row['val_accuracy']:.1%}")

        figures = train_bundle(
            out, faces, held_out, recipe, labels=names, teachers=teachers or [], merge=merge or [], resume=resume,
            finish=finish, flip=flips, int8=int8, keep_weights=keep_weights, report=report, progress=start,
        )  # fmt: skip
    if as_json:
        print_json({"bundle": str(out), "validation": figures, "n": len(held_out)})
    else:
        for name, scores in figures.items():
            if scores is None:
                typer.echo(f"{name}: no accuracy, as a single validation face cannot be cross-fitted")
                continue
            parts = []
            for part in ("head", "knn", "ensemble"):
                low, high = wilson(scores[part]["accuracy"], scores["n"])
                parts.append(f"{part} {scores[part]['accuracy']:.1%} ({100 * low:.0f}-{100 * high:.0f})")
            told = f"{name}: " + ", ".join(parts)
            typer.echo(f"{told} on {scores['n']} validation faces, cross-fitted (95 % intervals)")
        typer.echo(f"wrote {out}")
    if read.skipped:
        raise typer.Exit(1)


def split_or_share(text: str | None) -> str | float | None:
    """Read the name of a split, or a share as 0.2 or 20%."""
    if text is None:
        return None
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return text


@command
def index(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with a folder of pictures for each class.", metavar="FOLDER"),
    ] = None,
    crops: Annotated[
        bool | None,
        typer.Option("--crops/--faces", help="Take whole pictures, or look for faces; as before, at first --faces."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read every file again; needed for another encoder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and do nothing.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that embed; 0 for one a core.")] = 0,
    engine: Annotated[str, typer.Option("--engine", help="processes, or ray: a cluster.")] = "processes",
    ray_address: Annotated[str | None, typer.Option("--ray-address", help="HOST:6379, or auto.")] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring what you taught in line with folders of labelled pictures; without a folder, with those known already.

    What is interrupted goes on at the next run. The exit code is 1 where a file gave no face.
    """
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery
    from moodspace.index.ingest.folders import SyncRequest
    from moodspace.index.ingest.rebuild import index_gallery
    from moodspace.index.ingest.workers import ReadOptions, usable_cores

    if engine not in ("processes", "ray"):
        raise typer.BadParameter(f"expected processes or ray, got {engine!r}", param_hint="--engine")
    loaded, folder = load_bundle(bundle), gallery or default_gallery()
    asked = SyncRequest(
        folders or [], ReadOptions(bundle, False, detector, detector_model), crops, full, workers or usable_cores(),
        engine == "ray", ray_address, dry_run,
    )  # fmt: skip
    with progress_bars() as start:
        indexed = index_gallery(folder, loaded, asked, start("index"))
    report = indexed.report
    if indexed.old is not None:
        say(f"the gallery of the other encoder is now {indexed.old}")
    tell_some([(one.source, one.reason) for one in report.failed], "failed")
    tell_some([(one.file.path, f"holds the same as {one.of}") for one in report.duplicate], "left out")
    if as_json:
        print_json(report.to_json() | {"gallery": str(folder), "dry_run": dry_run})
    else:
        typer.echo(("would be: " if dry_run else "") + report.in_words())
    if report.failed:
        raise typer.Exit(1)


def tell_some(named: list[tuple[str, str]], what: str, most: int = 20) -> None:
    """Name the first of what went wrong, and count the rest."""
    for source, reason in named[:most]:
        say(f"{what} {source}: {reason}")
    if len(named) > most:
        say(f"and {len(named) - most} more; --json lists all")


def class_label(typed: str) -> str:
    """Returns the class that an option names; refuses what no class may be called."""
    from moodspace.embeddings.data.labels import ClassNameError, class_name

    try:
        return class_name(typed)
    except ClassNameError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from error


@command
def teach(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.", metavar="PICTURE")],
    label: Annotated[str, typer.Option("--label", help="What the faces show; any name makes a class.")],
    crops: CropsOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach what the faces in pictures show; the next prediction knows them. `forget --last` takes it back.

    The exit code is 1 where a picture gave no face that could be taught.
    """
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, open_gallery
    from moodspace.index.ingest.folders import SyncRequest, embedder
    from moodspace.index.ingest.teach import picture_paths
    from moodspace.index.ingest.teach import teach as teach_pictures
    from moodspace.index.ingest.workers import ReadOptions

    name = class_label(label)
    paths = picture_paths(pictures)
    if not paths:
        raise ValueError(f"{', '.join(map(str, pictures))}: expected pictures, found an empty folder; name another")
    loaded = load_bundle(bundle)
    embed = embedder(SyncRequest([], ReadOptions(bundle, crops, detector, detector_model)), crops)
    with progress_bars() as start, open_gallery(gallery or default_gallery(), loaded, create=True) as opened:
        report = teach_pictures(opened, name, paths, embed, start("teach"))
        counts = dict(opened.summary().labels)
    tell_some([(one.source, one.reason) for one in report.failed], "skipped")
    if as_json:
        failed = [{"source": one.source, "reason": one.reason} for one in report.failed]
        told = {"ids": report.ids, "known": report.known, "others": report.others, "failed": failed}
        print_json({"label": name} | told | {"classes": counts})
    else:
        ids = f" as {', '.join(map(str, report.ids))}" if report.ids else ""
        known = f", {len(report.known)} known already" if report.known else ""
        others = f", {report.others} left out beside the largest" if report.others else ""
        typer.echo(f"{name}: {len(report.ids)} taught{ids}{known}{others}; {counts.get(name, 0)} in all")
    if report.failed:
        raise typer.Exit(1)


@command
def forget(
    label: Annotated[str | None, typer.Option("--label", help="Forget a class.")] = None,
    ids: Annotated[list[int] | None, typer.Option("--id", help="Forget a face by its number; repeats.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Forget a picture, all below a folder, live, or import:...")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Take back what was taught last.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget what you taught: a class, faces, a picture or folder, or what was taught last."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, open_gallery
    from moodspace.index.ingest.teach import forget_source

    if sum([label is not None, bool(ids), source is not None, last]) != 1:
        raise typer.BadParameter("expected exactly one of --label, --id, --source and --last")
    name = class_label(label) if label is not None else ""
    with open_gallery(gallery or default_gallery(), load_bundle(bundle)) as opened:
        if last:
            undone = opened.undo()
            forgotten = sum(undone.labels.values()) if undone else 0
        elif label is not None:
            forgotten = opened.remove_label(name)
        elif source is not None:
            forgotten = forget_source(opened, source)
        else:
            forgotten = opened.remove(ids or [])
        left = len(opened)
    print_json({"forgotten": forgotten, "left": left}) if as_json else typer.echo(f"{forgotten} forgotten, {left} left")
    if not forgotten:
        say("nothing of that was taught; `cli.py gallery` says what is")
        raise typer.Exit(1)


gallery_app = typer.Typer(invoke_without_command=True, help="What you taught: look, check, take it elsewhere.")
app.add_typer(gallery_app, name="gallery")


@gallery_app.callback()
def _gallery(context: typer.Context, gallery: GalleryOption = None) -> None:
    if context.invoked_subcommand is None:
        gallery_show(gallery=gallery)
    elif str(context.get_parameter_source("gallery")).endswith("COMMANDLINE"):
        raise typer.BadParameter(f"expected it after {context.invoked_subcommand}", param_hint="--gallery")


def gallery_command(run: Callable[P, R]) -> Callable[P, R]:
    """Register a command of `gallery`, as `command`."""
    guarded = guard(run)
    gallery_app.command(run.__name__.removeprefix("gallery_"), cls=_Command)(guarded)
    return guarded


@gallery_command
def gallery_show(
    bundle: BundleOption = DEFAULT_BUNDLE, gallery: GalleryOption = None, as_json: JsonOption = False
) -> None:
    """Say which classes there are, with how many faces from where and since when."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, describe_gallery, open_gallery, summary_document

    folder = gallery or default_gallery()
    with open_gallery(folder, load_bundle(bundle), read_only=True) as opened:
        summary = opened.summary()
    if as_json:
        print_json(summary_document(folder, summary))
    else:
        typer.echo("\n".join(describe_gallery(folder, summary)))


@gallery_command
def gallery_verify(
    bundle: BundleOption = DEFAULT_BUNDLE, gallery: GalleryOption = None, as_json: JsonOption = False
) -> None:
    """Look at every face for damage; exit code 3 if there is any."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, open_gallery

    with open_gallery(gallery or default_gallery(), load_bundle(bundle), read_only=True) as opened:
        problems, faces = opened.verify(), len(opened)
    if as_json:
        print_json({"faces": faces, "problems": problems})
    else:
        typer.echo("\n".join(problems) or f"{faces} faces, all sound")
    if problems:
        raise typer.Exit(3)


@gallery_command
def gallery_export(
    file: Annotated[Path, typer.Argument(help="The parquet file to write.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
) -> None:
    """Write everything to a parquet file: labels, sources, times, embeddings; no pictures."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, export_gallery, open_gallery
    from moodspace.embeddings.files.paths import require_file_at

    require_file_at(file)
    with open_gallery(gallery or default_gallery(), load_bundle(bundle), read_only=True) as opened:
        typer.echo(f"wrote {export_gallery(opened, file)} faces to {file}")


@gallery_command
def gallery_import(
    file: Annotated[Path, typer.Argument(help="A parquet file that `gallery export` wrote.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
) -> None:
    """Add the faces of an exported gallery that are not known yet."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.classifier.user_gallery import default_gallery, import_gallery, open_gallery
    from moodspace.embeddings.files.paths import FILE, what_is
    from moodspace.index.store.commit import GalleryError

    if (found := what_is(file)) != FILE:
        raise GalleryError(f"{file}: expected an exported gallery, found {found}")
    loaded = load_bundle(bundle)
    with open_gallery(gallery or default_gallery(), loaded, create=True) as opened:
        added, known = import_gallery(opened, file)
    typer.echo(f"{added} faces added, {known} known already")


@command
def similar(
    picture: Annotated[Path, typer.Argument(help="A picture; of several faces the largest counts.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many faces to show.")] = 10,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="Draw the faces side by side: a PNG file.")] = None,
    crops: CropsOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the most similar faces, of the bundle and of what you taught."""
    from moodspace.classifier.similar import crop_from_source, crop_of, similar_faces
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.index.ingest.read_faces import crop_whole_picture
    from moodspace.index.ingest.workers import ReadOptions

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, got {sheet.name!r}", param_hint="--sheet")
    if sheet is not None:
        require_file_at(sheet)
    recognizer = open_taught_recognizer(bundle, labels, gallery)
    cutter = ReadOptions(bundle, crops, detector, detector_model).cutter(recognizer.bundle)
    crop = crop_of(picture, cutter)
    found = similar_faces(recognizer, crop, k)
    if sheet is not None:
        from moodspace.viz.contact_sheet import SheetFace, contact_sheet

        faces = [SheetFace(crop, "this face", picture.name)]
        for one in found:
            at_hand = crop_from_source(one.source, "", (cutter, crop_whole_picture))
            faces.append(SheetFace(at_hand, f"{one.label or '-'} {one.similarity:.3f}", one.source))
        contact_sheet(faces).save(sheet)
    if as_json:
        print_json({"source": str(picture), "similar": [one.to_json() for one in found]})
        return
    for one in found:
        own = "taught" if one.taught else "bundle"
        typer.echo(f"{one.similarity:.3f}  {one.label or '-':<12} {own}  {one.id:<11} {one.source}")
    if sheet is not None:
        say(f"wrote {sheet}")


@command
def evaluate(
    data: Annotated[Path, typer.Argument(help="Labelled face crops.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    split: Annotated[str | None, typer.Option("--split", help="Split to read where the data have several.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", help="Folder for pictures, among them faces that it got wrong."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score head, k-NN and ensemble on labelled faces that were neither trained on nor indexed.

    Accuracy and macro_f1 should be high; ece, the calibration error, and nll, the log loss, low. Without --labels the
    default view is scored first and then each label set against its own labels.
    """
    from moodspace.classifier.evaluation import evaluate as score
    from moodspace.classifier.evaluation import score as score_judged
    from moodspace.classifier.evaluation import score_faces
    from moodspace.embeddings.data.readers import read_labelled_faces
    from moodspace.embeddings.encoder import encode_all
    from moodspace.embeddings.files.paths import require_folder_at

    if plots is not None:
        require_folder_at(plots)
    loaded = open_recognizer(bundle, labels).bundle
    with progress_bars() as start:
        faces = read_labelled_faces(data, split=split, progress=start("read"))
        encoded = encode_all(loaded.encoder, faces.crops, start("evaluate"))
    judged = score_faces(loaded, faces, labels, encoded=encoded)
    figures = score_judged(judged, faces).to_json()
    if plots is not None:
        from moodspace.viz.evaluation_plots import plot_evaluation

        note = compared_with(loaded, faces, figures["label_set"])[0]
        say("wrote " + ", ".join(str(path) for path in plot_evaluation(judged, faces.crops, plots, compared=note)))
    # What to hold the default against, unless one view was asked for.
    others = [] if labels else [name for name in loaded.views if name != loaded.default_labels]
    views = {name: score(loaded, faces, name, encoded=encoded).to_json() for name in others}
    tell_skipped([(s.source, s.reason) for s in faces.skipped])
    if as_json:
        print_json(figures | ({"views": views} if views else {}))
    else:
        for one in (figures, *views.values()):
            print_evaluation(one, compared_with(loaded, faces, one["label_set"]))
    if faces.skipped:
        raise typer.Exit(1)


def compared_with(bundle: "Bundle", faces: "LabelledFaces", view: str) -> list[str]:
    """Return, a line each, which labels a view is compared with and what follows where they are not its own."""
    from moodspace.classifier.evaluation import compared_labels

    truth = compared_labels(faces, view)
    blend = bundle.blend if view not in bundle.classes else None
    mixed = f", a mix of {' and '.join(blend.shares)}" if blend is not None else ""
    lines = [f"view {view}{mixed}, compared with the labels {truth} of the data"]
    if blend is not None:
        lines.append(f"These label many of the same faces differently, and the confidence is fitted to {blend.truth}.")
        lines.append(
            f"Against {truth} alone accuracy is lower and the calibration error (ece) higher than those of a view"
        )
        lines.append(f"made for {truth}; --labels {truth} scores that one alone.")
    elif truth != view:
        lines.append(f"The data have no labels {view}: classes are matched by name, and may mean something else there.")
    return lines


def print_evaluation(figures: dict[str, Any], compared: Sequence[str]) -> None:
    """Print what is compared, the scores as a table, accuracy where doubtful faces are left out, and each class."""

    def four_digits(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    typer.echo(f"{figures['n']} faces, {compared[0]}")
    for line in compared[1:]:
        typer.echo(f"  {line}")
    if left_out := figures.get("left_out"):
        named = [f"{count} of {name}" for name, count in left_out["classes"].items()]
        named += [f"{left_out['unlabelled']} without a label"] * bool(left_out["unlabelled"])
        if named:
            typer.echo(f"  left out, as the bundle has no such class or the face no label: {', '.join(named)}")
    for name in ("head", "knn", "ensemble", "ensemble_without_twins"):
        row = figures[name]
        typer.echo(f"  {name:<24}" + "  ".join(f"{part} {four_digits(row[part])}" for part in row))
    coverage = figures["coverage"]
    parts = (f"{four_digits(value)} at {share}" for share, value in coverage["accuracy_at"].items())
    typer.echo(f"  {'surest faces':<24}accuracy " + "  ".join(parts))
    known = f"accuracy {four_digits(coverage['known_accuracy'])} at {coverage['known']:.1%}"
    typer.echo(f"  {'without unknown':<24}{known}")
    parts = (f"{part} {four_digits(value)}" for part, value in figures["retrieval"].items())
    typer.echo(f"  {'embedding':<24}" + "  ".join(parts))
    for name, row in figures["per_class"].items():
        typer.echo(f"  {name:<24}precision {row['precision']:.3f}  recall {row['recall']:.3f}  n {row['n']}")


@command
def web(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; another than loopback asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8501,
    public: Annotated[bool, typer.Option("--public", help="Let in anybody who reaches it, without a token.")] = False,
    token: Annotated[
        str | None, typer.Option("--token", envvar="MOODSPACE_WEB_TOKEN", help="What to ask for; made up where needed.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Address that a proxy shows it under, as https://faces.example.org."),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", help="Folder where each visitor's taught faces stay; default: forgotten."),
    ] = None,
    visitors: Annotated[int, typer.Option("--visitors", min=1, help="How many browsers at once.")] = 16,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in a browser here.")] = False,
) -> None:
    """Serve the web app: live in a browser, photos, videos, the map, teaching. Wants requirements/web.txt."""
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.web.server.serve import address, serve
    from moodspace.web.server.settings import Limits, WebSettings, token_for

    if gallery is not None:
        require_folder_at(gallery)
    settings = WebSettings(
        bundle=bundle.resolve(),
        labels=labels,
        host=host,
        port=port,
        token=token_for(host, token, public=public),
        origins=tuple(origin or ()),
        gallery=gallery and gallery.resolve(),
        limits=Limits(visitors=visitors),
    )
    serve(settings, ready=lambda: typer.echo(f"{address(settings)}  (Ctrl-C ends it)"), open_browser=open_browser)


@command
def visualize(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labelled face crops to put on the map.", metavar="DATA")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="Folder for picture, page and projector files.")
    ] = Path("map"),
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    own: Annotated[bool, typer.Option("--taught/--no-taught", help="Show what you taught, too.")] = True,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the layout; the kept one's by default.")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Lay the gallery out anew.")] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Draw the picture on dark ground, too.")] = False,
) -> None:
    """Draw the map (UMAP) of the gallery, what you taught and data: a PNG, a page, files for TensorBoard."""
    from moodspace.classifier.bundle.bundle import BundleError
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.realtime.session.file import DATABASE
    from moodspace.viz.explore.data import read_parts
    from moodspace.viz.map.layout import keep_layout, lay_out
    from moodspace.viz.map.making import make_map, write_map

    require_folder_at(out)
    for path in data or []:
        if (path / DATABASE).is_file():
            raise ValueError(f"{path}: expected labelled faces, got a session, which keeps none; see it with `report`")
    recognizer = open_taught_recognizer(bundle, labels, gallery) if own else open_recognizer(bundle, labels)
    with progress_bars() as start:
        parts = read_parts(data, start) if data else None
        taught = taught_on_map(recognizer, gallery, start("look for taught pictures")) if recognizer.taught else None
        layout = lay_out(recognizer.bundle, seed, refit=refit, progress=start)
        kept = f"the places are kept in {bundle}"
        if layout.fresh:
            try:
                keep_layout(recognizer.bundle, layout)
            except BundleError as error:
                kept = f"the places could not be kept, so that the next map takes as long: {error}"
        made = make_map(recognizer, layout, taught=taught, data=parts, progress=start)
        written = write_map(made, out, dark=dark)
    tell_skipped([(one.source, one.reason) for one in parts.unreadable] if parts else [])
    typer.echo("\n".join([made.caption, f"wrote {', '.join(map(str, written))}", kept]))
    if parts and parts.unreadable:
        raise typer.Exit(1)


def taught_on_map(
    recognizer: "Recognizer", gallery: Path | None, progress: Callable[[int, int], None]
) -> "TaughtOnMap | None":
    """Read what the user taught, with the pictures at hand."""
    from moodspace.classifier.similar import newest_taught, pictures_of
    from moodspace.classifier.user_gallery import default_gallery
    from moodspace.index.ingest.read_faces import crop_whole_picture
    from moodspace.index.ingest.workers import ReadOptions
    from moodspace.viz.map.faces import TaughtOnMap

    faces = newest_taught(gallery or default_gallery(), recognizer.bundle)
    if faces is None:
        return None
    cutter = ReadOptions(recognizer.bundle.path, False, "centerface", None).cutter(recognizer.bundle)
    return TaughtOnMap(faces, *pictures_of(faces, (crop_whole_picture, cutter), progress))


@command
def explore(
    data: Annotated[
        list[Path], typer.Argument(help="Labelled face crops; several are told apart as splits.", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the page and the JSON.")] = Path("explore"),
    errors: Annotated[
        bool, typer.Option("--errors/--no-errors", help="Look for wrong labels, which takes a bundle and longest.")
    ] = True,
    bundle: BundleOption = DEFAULT_BUNDLE,
    as_json: JsonOption = False,
) -> None:
    """Show what is in data: classes, examples, light, copies within and across splits, likely wrong labels."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.viz.explore.document import exploration_document, summary
    from moodspace.viz.explore.exploration import explore as look
    from moodspace.viz.explore.exploration import write_exploration

    require_folder_at(out)
    loaded = load_bundle(bundle) if errors else None
    with progress_bars() as start:
        found = look(data, bundle=loaded, progress=start)
    page, document = write_exploration(found, out)
    tell_skipped([(one.source, one.reason) for one in found.data.unreadable])
    if as_json:
        print_json(exploration_document(found))
    else:
        typer.echo("\n".join([*summary(exploration_document(found)), f"wrote {page} and {document}"]))
    if found.data.unreadable:
        raise typer.Exit(1)


@command
def curves(
    runs: Annotated[list[Path], typer.Argument(help="Bundles, their .training folders, or logs (CSV).", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", help="The picture to write: a PNG.")] = Path("curves.png"),
) -> None:
    """Draw how trainings went: loss, accuracy, learning rate, triplets and distances over the epochs."""
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.embeddings.training.log import find_log, read_log
    from moodspace.viz.training_curves import draw_curves

    require_file_at(out)
    logs = [find_log(run) for run in runs]
    names = [run.stem if len({one.stem for one in runs}) == len(runs) else str(run) for run in runs]
    draw_curves({name: read_log(log) for name, log in zip(names, logs, strict=True)}, out)
    typer.echo(f"wrote {out}")


@command
def doctor(bundle: BundleOption = DEFAULT_BUNDLE, as_json: JsonOption = False) -> None:
    """Check versions, bundle, detector and camera; say what is missing and how to get it."""
    from moodspace.realtime.doctor import examine

    findings = examine(bundle)
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            typer.echo(f"{finding.state:<8}{finding.what}: {finding.found}{remedy}")
    codes = [finding.exit_code for finding in findings if finding.exit_code]
    if codes:
        raise typer.Exit(max(codes))


def main() -> None:
    """Run the command line; whatever stdout still holds is written before the exit code is known."""
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


if __name__ == "__main__":
    main()
