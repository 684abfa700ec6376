"""The commands that recognize: `demo`, `live`, `report`, `predict`, `similar`."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodspace.cli.app import (
    DEFAULT_BUNDLE,
    BundleOption,
    CropsOption,
    DetectorModelOption,
    DetectorOption,
    GalleryOption,
    JsonOption,
    LabelsOption,
    command,
    open_recognizer,
    open_taught_recognizer,
    print_json,
    say,
    tell_skipped,
)

if TYPE_CHECKING:
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.realtime.capture.source import Source
    from moodspace.realtime.pipeline import FrameResult
    from moodspace.realtime.session.recording import Recording


@command
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the annotated picture and clip.")] = Path("demo"),
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
) -> None:
    """Recognize the face in a public-domain picture; needs no camera and no download."""
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
    headless: Annotated[bool, typer.Option("--headless", help="Run without a window.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a frame.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Show every frame of a file, as fast as possible.")] = False,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Camera resolution in pixels.")] = None,
    height: Annotated[int | None, typer.Option("--height", min=1, help="Camera resolution in pixels.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", min=1, help="Camera frames per second.")] = None,
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
    keep_video: Annotated[bool, typer.Option("--keep-video", help="Also record an annotated video.")] = False,
    marks_from: Annotated[
        str | None,
        typer.Option("--marks-from", help="Record the events of a Lab Streaming Layer stream too: lsl:NAME."),
    ] = None,
    keep_days: Annotated[
        float | None,
        typer.Option("--keep-days", min=0, help="Delete sessions in the folder that are older than this many days."),
    ] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Recognize live from a camera, a video or pictures. Press h for help, q to quit."""
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.index.taught.user_gallery import LiveTeacher, default_gallery
    from moodspace.realtime.capture.cameras import CameraOptions
    from moodspace.realtime.capture.files import open_source, without_password
    from moodspace.realtime.documents import live_document
    from moodspace.realtime.pipeline import LivePipeline
    from moodspace.realtime.session.lsl_marks import LslMarks
    from moodspace.realtime.session.notice import start_notice
    from moodspace.realtime.session.recording import Recording, RecordingOptions
    from moodspace.realtime.window.loop import live as watch
    from moodspace.realtime.window.screen import require_display

    if record is None and (individuals or keep_video or keep_days is not None or marks_from is not None):
        raise typer.BadParameter(
            "expected --record beside --individuals, --keep-video, --keep-days and --marks-from", param_hint="--record"
        )
    stream = None if marks_from is None else lsl_name(marks_from)
    if not headless:
        require_display()
    recognizer = open_taught_recognizer(bundle, labels, gallery)
    pipeline = LivePipeline(open_detector(detector, detector_model), recognizer, half_life=half_life)
    teacher = LiveTeacher(gallery or default_gallery(), recognizer.bundle.encoder_spec)
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
            recording = stack.enter_context(
                Recording(keeping, recognizer.classes, without_password(source), live=opened.live)
            )
            group = "" if individuals or keep_video else f", once at least {min_group} faces can be read"
            say(f"recording to {recording.folder}{group}")
            if stream is not None:
                stack.enter_context(LslMarks(stream, recording.mark, say))
        frames = watch(
            opened, pipeline, show=not headless, fast=fast, on_result=on_result,
            record=recording.add if recording else None,
            recording=recording.state if recording else None, teach_face=teacher.teach, undo=teacher.undo,
            mark=marker(recording) if recording else None,
        )  # fmt: skip
    tell_skipped([(s.source, s.reason) for s in opened.skipped])
    tell_unread(opened)
    say(f"{frames} frames")
    if recording is not None and not recording.kept:
        few = f"fewer than {min_group} faces could be read; see --min-group and --individuals"
        say(f"nothing was recorded: {few if not individuals else 'no face was in view'}")
    if opened.skipped or opened.incomplete:
        raise typer.Exit(1)


def lsl_name(spec: str) -> str:
    """Return the name of the stream in `lsl:NAME`."""
    kind, _, name = spec.partition(":")
    if kind != "lsl" or not name:
        raise typer.BadParameter(f"expected lsl:NAME, got {spec!r}", param_hint="--marks-from")
    return name


def marker(recording: "Recording") -> "Callable[[str, float], float]":
    """Return a function that records an event of the window and returns its time in the recording."""
    return lambda name, wall_time: recording.mark(name, "window", wall_time).time


@command
def report(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Page to write; default session.html in the session's folder.")
    ] = None,
    export: Annotated[Path | None, typer.Option("--export", help="Write tables instead: .csv or .parquet.")] = None,
    marks: Annotated[
        Path | None,
        typer.Option("--marks", help="CSV with further events: columns time (seconds, or date and time) and name."),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            "--epochs",
            metavar="START:STOP",
            help="Write a table of the seconds around each event instead, as -2:5, to --out (.csv or .parquet), with "
            "a codebook; the seconds before 0 are the baseline.",
        ),
    ] = None,
    beside: Annotated[
        Path | None, typer.Option("--beside", help="Video or sound to play in step, such as the stimulus.")
    ] = None,
    offset: Annotated[
        float | None, typer.Option("--offset", help="Second of the session at which --beside begins; default 0.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the session instead.")] = False,
) -> None:
    """Summarize a recorded session on one page that can be scrubbed, or write its numbers as tables."""
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.realtime.session.export import export_epochs, export_session
    from moodspace.realtime.session.file import EPOCHS, REPORT, VIDEO, delete_session
    from moodspace.realtime.session.marks import with_marks
    from moodspace.realtime.session.reading import open_session
    from moodspace.viz.report.beside import put_beside
    from moodspace.viz.report.page import write_report

    if delete:
        if out or export or marks or epochs or beside or offset is not None:
            raise typer.BadParameter("expected no other option with --delete", param_hint="--delete")
        typer.echo("deleted " + ", ".join(str(path) for path in delete_session(session)))
        return
    if offset is not None and beside is None:
        raise typer.BadParameter("expected --beside with --offset", param_hint="--offset")
    if epochs is not None and beside is not None:
        raise typer.BadParameter("expected --beside with a page, got it with --epochs", param_hint="--beside")
    window = None if epochs is None else epoch_window(epochs)
    for path in (out, export):
        if path is not None:
            require_file_at(path)
    opened = open_session(session)
    folder = session if session.is_dir() else session.parent
    if marks is not None:
        opened = with_marks(opened, marks)
    if window is not None:
        written = export_epochs(opened, *window, out or folder / EPOCHS)
        typer.echo("wrote " + ", ".join(map(str, written)))
    if export is not None:
        typer.echo("wrote " + ", ".join(str(path) for path in export_session(opened, export)))
    if window is None and (export is None or out is not None):
        page = out or folder / REPORT
        if beside is None and opened.keeps_video and page.resolve().parent == folder.resolve():
            beside = folder / VIDEO
        player = None if beside is None else put_beside(beside, page, opened, offset=offset)
        write_report(opened, page, player)
        typer.echo(f"wrote {page}")
        if player is not None and player.file is not None:
            say(f"it plays {page.with_name(player.file)}; keep both in one folder")


def epoch_window(spec: str) -> tuple[float, float]:
    """Return the start and stop of START:STOP in seconds."""
    try:
        start, stop = (float(part) for part in spec.split(":"))
    except ValueError:
        raise typer.BadParameter(f"expected START:STOP as -2:5, got {spec!r}", param_hint="--epochs") from None
    if not (-math.inf < start < stop < math.inf and stop > 0):
        raise typer.BadParameter(
            f"expected seconds around 0 that end after it, as -2:5, got {spec!r}", param_hint="--epochs"
        )
    return start, stop


@command
def predict(
    sources: Annotated[list[str], typer.Argument(help="Pictures, videos, or folders of them.", metavar="SOURCE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per source, one a line.")] = False,
    crops: CropsOption = False,
    annotate: Annotated[Path | None, typer.Option("--annotate", help="Folder for annotated copies.")] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Recognize the faces in pictures, videos and folders."""
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


@command
def similar(
    picture: Annotated[Path, typer.Argument(help="A picture; the largest face is used.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many faces to show.")] = 10,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="PNG file to draw the faces into, side by side.")
    ] = None,
    crops: CropsOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the most similar faces of the bundle and of your gallery."""
    from moodspace.classifier.similar import crop_of, similar_faces
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.index.ingest.read_faces import crop_whole_picture
    from moodspace.index.ingest.source_crops import crop_from_source
    from moodspace.index.ingest.workers import ReadOptions

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, got {sheet.name!r}", param_hint="--sheet")
    if sheet is not None:
        require_file_at(sheet)
    recognizer = open_taught_recognizer(bundle, labels, gallery)
    cropper = ReadOptions(recognizer.bundle.encoder_spec, crops, detector, detector_model).open_cropper()
    crop = crop_of(picture, cropper)
    found = similar_faces(recognizer, crop, k)
    if sheet is not None:
        from moodspace.viz.contact_sheet import SheetFace, contact_sheet

        faces = [SheetFace(crop, "this face", picture.name)]
        for one in found:
            at_hand = crop_from_source(one.source, "", (cropper, crop_whole_picture))
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


def describe(result: "FrameResult", recognizer: "Recognizer") -> Iterator[str]:
    """Describe each face and its nearest neighbors in lines of text."""
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


def doubt_of(face: dict[str, Any]) -> str:
    """Return " (unsure)" for an unknown face, with the reason if it cannot be read; otherwise ""."""
    if not face["unknown"]:
        return ""
    reason = (face.get("quality") or {}).get("reason")
    return f" (unsure: {reason})" if reason else " (unsure)"


def print_document(document: dict[str, Any]) -> None:
    """Print the faces of a picture, or for a video how often each expression was shown."""
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
    """Report incomplete files, and files that are neither pictures nor videos."""
    for one in source.incomplete:
        say(f"{one.source}: {one.reason}")
    if count := len(source.left_out):
        names = ", ".join(Path(path).name for path in source.left_out[:5])
        more = f" and {count - 5} more" if count > 5 else ""
        what = "1 other file" if count == 1 else f"{count} other files"
        say(f"left out {what}, neither a picture nor a video: {names}{more}")
