"""The commands that recognize: `demo`, `live`, `report`, `predict`, `baseline`, `similar`."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodspace import __version__
from moodspace.cli.app import (
    DEFAULT_BUNDLE,
    BundleOption,
    CropsOption,
    DetectorModelOption,
    DetectorOption,
    GalleryOption,
    JsonOption,
    KeepPicturesOption,
    LabelsOption,
    PicturesOption,
    PriorOption,
    TLSCAOption,
    TLSCertOption,
    TLSKeyOption,
    ToOption,
    UnprotectedOption,
    command,
    open_recognizer,
    open_taught_recognizer,
    print_json,
    say,
    sink_options,
    tell_lines,
    tell_skipped,
)

if TYPE_CHECKING:
    from moodspace.classifier.baseline import Baseline
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.index.taught.frozen import FrozenFaces
    from moodspace.realtime.baselines import LiveBaselines
    from moodspace.realtime.capture.source import Frame, Source
    from moodspace.realtime.pipeline import FrameResult, LiveResult
    from moodspace.realtime.progress import VideosProgress
    from moodspace.realtime.session.recording import Recording
    from moodspace.realtime.sinks.hub import Sinks
    from moodspace.realtime.videos.reading import Summary as VideoSummary
    from moodspace.sessions import Mark


@command
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the annotated picture and clip.")] = Path("demo"),
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
) -> None:
    """Recognize the face in a public-domain picture; needs no camera and no download."""
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.embeddings.detection.later import LaterDetector
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.realtime.demo import run_demo
    from moodspace.realtime.pipeline import Pipeline

    require_folder_at(out)
    finder = LaterDetector(lambda: open_detector(working_sizes=(320,))).start()
    recognizer = open_recognizer(bundle, labels)

    def on_result(result: "FrameResult") -> None:
        for line in describe(result, recognizer):
            typer.echo(line)

    shown = run_demo(Pipeline(finder, recognizer), out, on_result=on_result)
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
    to: ToOption = None,
    individuals: Annotated[
        bool, typer.Option("--individuals", help="Also record and send each face, in groups of any size.")
    ] = False,
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Record and send only while at least this many faces can be read.")
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
    keep_pictures: KeepPicturesOption = False,
    pictures: PicturesOption = None,
    tls_cert: TLSCertOption = None,
    tls_key: TLSKeyOption = None,
    tls_ca: TLSCAOption = None,
    unprotected: UnprotectedOption = False,
    baseline: Annotated[
        float | None,
        typer.Option(
            "--baseline",
            min=0.5,
            metavar="SECONDS",
            help="Measure each new face's resting face for this long, and take it as zero.",
        ),
    ] = None,
    baseline_file: Annotated[
        Path | None,
        typer.Option(
            "--baseline-file",
            help="Use the resting face in this file for the first face in view; keep the newest one there.",
        ),
    ] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    prior: PriorOption = "data",
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Recognize live from a camera, a video or pictures. Press h for help, q to quit."""
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.embeddings.detection.later import LaterDetector
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
    from moodspace.realtime.window.state import SENDING

    if record is None and (keep_video or keep_days is not None):
        raise typer.BadParameter("expected --record beside --keep-video and --keep-days", param_hint="--record")
    if record is None and not to and individuals:
        raise typer.BadParameter("expected --record or --to beside --individuals", param_hint="--individuals")
    if record is None and marks_from is not None:
        raise typer.BadParameter("expected --record beside --marks-from", param_hint="--marks-from")
    stream = None if marks_from is None else lsl_name(marks_from)
    sending = sink_options(to, individuals, min_group, unprotected, tls_cert, tls_key, tls_ca)
    if not headless:
        require_display()
    finder = LaterDetector(partial(open_detector, detector, detector_model)).start()
    recognizer = open_taught_recognizer(bundle, labels, gallery, prior=prior, pictures=pictures)
    baselines = _live_baselines(recognizer, baseline, baseline_file, on_refused=say if headless else None)
    pipeline = LivePipeline(finder.opened(), recognizer, half_life=half_life, baselines=baselines)
    teacher = LiveTeacher(gallery or default_gallery(), recognizer.bundle.encoder_spec, keep_pictures=keep_pictures)
    with contextlib.ExitStack() as stack:
        stack.callback(teacher.close)
        recording: Recording | None = None

        def on_event(event: str) -> None:
            say(event)
            if recording is not None:
                recording.interrupt(event)

        opened = open_source(source, options=CameraOptions(width, height, fps, mirror), on_event=on_event)
        if notice := start_notice(recording=record is not None, sending=bool(to)):
            say(notice)
        sinks: Sinks | None = None
        if to:
            # Only needed here: asyncio and ssl take a moment to load.
            from moodspace.realtime.sinks import hub

            sinks = hub.Sinks(to, sending, classes=recognizer.classes, on_event=say)
            # After Ctrl-C too.
            stack.callback(tell_lines, sinks.summary)
            stack.enter_context(sinks)

        def on_result(frame: "Frame", result: "LiveResult") -> None:
            if as_json:
                print_json(live_document(frame, result, min_group=min_group))
            if sinks is not None:
                sinks.add(frame, result)

        if record is not None:
            keeping = RecordingOptions(record, individuals, min_group, keep_video, keep_days)
            recording = stack.enter_context(
                Recording(keeping, recognizer.classes, without_password(source), live=opened.live)
            )
            group = "" if individuals or keep_video else f", once at least {min_group} faces can be read"
            say(f"recording to {recording.folder}{group}")
            if stream is not None:
                stack.enter_context(LslMarks(stream, marker(recording, sinks), say))

        def state() -> str:
            recorded = [] if recording is None else [recording.state()]
            return ", ".join(recorded + [SENDING] * bool(to))

        frames = watch(
            opened, pipeline, show=not headless, fast=fast, on_result=on_result,
            record=recording.add if recording else None,
            recording=state if recording or to else None, teach=teacher.teach, undo=teacher.undo,
            mark=window_marker(marker(recording, sinks)) if recording else None,
        )  # fmt: skip
    tell_skipped([(s.source, s.reason) for s in opened.skipped])
    tell_unread(opened)
    say(f"{frames} frames")
    if recording is not None and not recording.kept:
        few = f"fewer than {min_group} faces could be read; see --min-group and --individuals"
        say(f"nothing was recorded: {few if not individuals else 'no face was in view'}")
    if opened.skipped or opened.incomplete or (sinks is not None and sinks.lost):
        raise typer.Exit(1)


def lsl_name(spec: str) -> str:
    """Return the name of the stream in `lsl:NAME`."""
    kind, _, name = spec.partition(":")
    if kind != "lsl" or not name:
        raise typer.BadParameter(f"expected lsl:NAME, got {spec!r}", param_hint="--marks-from")
    return name


def marker(recording: "Recording", sinks: "Sinks | None") -> "Callable[[str, str, float], Mark]":
    """Return a function that records an event and sends it to the sinks: name, source, and unix time."""

    def mark(name: str, source: str, wall_time: float) -> "Mark":
        made = recording.mark(name, source, wall_time)
        if sinks is not None:
            sinks.mark(made.name, wall_time, by="key" if source == "window" else source)
        return made

    return mark


def window_marker(mark: "Callable[[str, str, float], Mark]") -> "Callable[[str, float], float]":
    """Return a function that marks an event of the window and returns its time in the recording."""
    return lambda name, wall_time: mark(name, "window", wall_time).time


def _live_baselines(
    recognizer: "Recognizer", seconds: float | None, file: Path | None, on_refused: "Callable[[str], None] | None"
) -> "LiveBaselines":
    """Return the baselines of a live session, with that of a file, which then gets each new one."""
    from moodspace.classifier.baseline import load_baseline
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.realtime.baselines import LiveBaselines

    if file is None:
        return LiveBaselines(recognizer, seconds=seconds, on_refused=on_refused)
    require_file_at(file)

    def keep(measured: "Baseline") -> None:
        try:
            measured.save(file)
            say(f"wrote {file}")
        except OSError as error:
            say(f"{file}: expected to write the baseline, could not ({error.strerror or error})")

    first = load_baseline(file, recognizer.bundle) if file.exists() else None
    return LiveBaselines(recognizer, seconds=seconds, first=first, on_measured=keep, on_refused=on_refused)


@command
def baseline(
    file: Annotated[Path, typer.Argument(help="A resting face that `live --baseline-file` wrote.")],
    delete: Annotated[bool, typer.Option("--delete", help="Delete it instead.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a resting face is read as, and what it changes."""
    from moodspace.classifier.baseline import delete_baseline, load_baseline, rest_of

    if delete:
        delete_baseline(file)
        print_json({"deleted": str(file)}) if as_json else typer.echo(f"deleted {file}")
        return
    recognizer = open_recognizer(bundle, labels)
    loaded = load_baseline(file, recognizer.bundle)
    rest = rest_of(loaded, recognizer)
    before = recognizer.untaught(loaded.encoded()).proba[0]
    if as_json:
        named = {
            name: [round(float(p), 6) for p in pair]
            for name, *pair in zip(recognizer.classes, before, rest.proba, strict=True)
        }
        shares = {name: {"without": pair[0], "with": pair[1]} for name, pair in named.items()}
        print_json({"file": str(file), "frames": loaded.frames, "view": recognizer.label_set, "at_rest": shares})
        return
    typer.echo(f"{file}: a resting face, the mean of {loaded.frames} {'frame' if loaded.frames == 1 else 'frames'}")
    typer.echo("read at rest, without and with this baseline:")
    for column in before.argsort()[::-1]:
        typer.echo(f"  {recognizer.classes[column]:<12} {before[column]:4.0%} {rest.proba[column]:4.0%}")


@command
def report(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session, or its JSON file from a web page.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Page to write; default session.html in the session's folder, or named as the JSON."
        ),
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
    from moodspace.realtime.session.document import SUFFIX
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
        if out is None and session.suffix.lower() == SUFFIX:
            page = session.with_suffix(".html")
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
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Table to write instead, one row a face and frame: .csv or .parquet."),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Look at every N-th frame of a video, or at one each 0.5s.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="With --out: number of worker processes; 0 for one per core.")
    ] = 0,
    engine: Annotated[str, typer.Option("--engine", help="With --out: processes, or ray for a cluster.")] = "processes",
    ray_address: Annotated[str | None, typer.Option("--ray-address", help="HOST:6379, or auto.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="With --out: read all videos again, the finished ones too.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="PATH|FIRST:SECONDS",
            help="The person's resting face: pictures, a saved baseline, or the first seconds of each video.",
        ),
    ] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    prior: PriorOption = "data",
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
) -> None:
    """Recognize the faces in pictures, videos and folders.

    With --out, faces are followed through each video, and finished videos are kept: the same command goes on after an
    interruption, and reads only what is new.
    """
    from moodspace.embeddings.detection.detectors import open_detector, open_picture_detector
    from moodspace.embeddings.detection.later import LaterDetector
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.realtime.baseline_sources import open_baseline
    from moodspace.realtime.capture.files import open_source
    from moodspace.realtime.capture.sampling import Sampling, SamplingError
    from moodspace.realtime.capture.source import SourceError
    from moodspace.realtime.pipeline import Pipeline, Process, WholePicture
    from moodspace.realtime.predict import predict_source

    try:
        sampling = Sampling.parse(every)
    except SamplingError as error:
        raise typer.BadParameter(str(error), param_hint="--every") from error
    if engine not in ("processes", "ray"):
        raise typer.BadParameter(f"expected processes or ray, got {engine!r}", param_hint="--engine")
    if out is not None:
        if annotate is not None:
            raise typer.BadParameter("expected one of --out and --annotate, got both", param_hint="--out")
        if baseline is not None:
            raise typer.BadParameter("expected one of --out and --baseline, got both", param_hint="--out")
        if prior != "data":
            raise typer.BadParameter("expected one of --out and --prior, got both", param_hint="--out")
        reading = {"crops": crops, "detector": detector, "detector_model": detector_model, "sampling": sampling}
        running = {"workers": workers, "ray": engine == "ray", "address": ray_address}
        predict_table(sources, out, bundle, labels, gallery, reading, running, restart=restart, as_json=as_json)
        return
    if workers or engine != "processes" or ray_address is not None or restart:
        needing = "--workers, --engine, --ray-address and --restart"
        raise typer.BadParameter(f"expected --out beside {needing}", param_hint="--out")
    if annotate is not None:
        if not sampling.all_frames:
            raise typer.BadParameter("expected --annotate without --every, got both", param_hint="--every")
        require_folder_at(annotate)
    finder, video_finder = (
        LaterDetector(partial(opening, detector, detector_model)) for opening in (open_picture_detector, open_detector)
    )
    if not crops:
        finder.start()
    recognizer = open_taught_recognizer(bundle, labels, gallery, prior=prior)
    pictures: Process = WholePicture(recognizer)
    videos: Process | None = None
    if not crops:
        pictures, videos = Pipeline(finder.opened(), recognizer), Pipeline(video_finder, recognizer)
    zero = None if baseline is None else open_baseline(baseline, pictures, videos)
    faces, skipped, partly, lost = 0, [], False, 0
    for name in sources:
        try:
            opened = open_source(name, files_only=True, sampling=sampling)
            for document in predict_source(opened, pictures, videos, annotate=annotate, baseline=zero):
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


def predict_table(
    sources: list[str],
    out: Path,
    bundle: Path,
    labels: str | None,
    gallery: Path | None,
    reading: dict[str, Any],
    running: dict[str, Any],
    *,
    restart: bool,
    as_json: bool,
) -> None:
    """Write the table of `predict --out`, its summary and its manifest; say what was found and what was not.

    Args:
        sources: Videos, pictures and folders.
        out: The table.
        bundle: The bundle's folder.
        labels: The view; None for the bundle's default.
        gallery: The folder of the user's gallery; None for the default one.
        reading: How videos are read, as in `read_settings`.
        running: Where they are read, as in `engine_for`.
        restart: Whether to forget what an earlier run finished.
        as_json: Whether to print the summary as JSON, one document a video.
    """
    from moodspace.realtime.progress import videos_bar
    from moodspace.realtime.videos.reading import classes_of, read_settings
    from moodspace.realtime.videos.run import engine_for, recognize_videos

    recognizer = open_recognizer(bundle, labels)
    taught = frozen_gallery(recognizer, gallery)
    settings = read_settings(bundle, recognizer.label_set, taught=taught, **reading)
    classes = classes_of(recognizer, taught)
    del recognizer  # the processes load their own
    told = (0, 0)

    with videos_bar(sys.stderr, say) as show:

        def follow(progress: "VideosProgress") -> None:
            nonlocal told
            told = progress.done, progress.videos
            show(progress)

        try:
            report = recognize_videos(
                sources, out, settings, classes=classes, version=__version__, engine=engine_for(settings, **running),
                restart=restart, progress=follow,
            )  # fmt: skip
        except KeyboardInterrupt:
            say(f"stopped: {told[0]:,} of {told[1]:,} videos are finished; run the same command again to go on")
            raise
    tell_skipped([(one.source, one.reason) for one in report.skipped])
    tell_left_out(report.left_out)
    for summary in report.summaries:
        if as_json:
            print_json(summary.to_json())
        elif summary.sha256:
            typer.echo(describe_video(summary))
    if not as_json:
        typer.echo("wrote " + ", ".join(str(path) for path in report.files))
    kept = len(report.summaries) - report.failed - report.read
    say(f"{len(report.summaries):,} files, {kept:,} of them finished before; {report.seconds:.0f} s")
    if report.skipped:
        raise typer.Exit(4 if not any(one.sha256 for one in report.summaries) else 1)
    if not any(one.rows for one in report.summaries):
        say("no face found")
        raise typer.Exit(4)


def frozen_gallery(recognizer: "Recognizer", gallery: Path | None) -> "FrozenFaces | None":
    """Return the user's faces as they are now; a gallery that was not asked for must not stop the command."""
    from moodspace.index.store.commit import GalleryError
    from moodspace.index.taught.frozen import freeze_folder
    from moodspace.index.taught.user_gallery import default_gallery

    try:
        return freeze_folder(gallery or default_gallery(), recognizer.bundle.encoder_spec)
    except GalleryError as error:
        if gallery is not None:
            raise
        say(f"continuing without your taught faces: {error}")
        return None


def describe_video(summary: "VideoSummary") -> str:
    """Return one line about a video: its faces, and how often each expression was shown."""
    shares = {**summary.shares, "unsure": summary.unknown, "unreadable": summary.unreadable}
    told = sorted(((name, share) for name, share in shares.items() if share), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {share:.0%}" for name, share in told) or "no face"
    faces = "1 face" if summary.faces == 1 else f"{summary.faces} faces"
    return f"{summary.video}: {summary.seconds:.1f} s, {summary.frames} frames, {faces}; {shown}"


@command
def similar(
    picture: Annotated[Path, typer.Argument(help="A picture; the largest face is used.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many faces to show.")] = 10,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="PNG file to draw the faces into, side by side.")
    ] = None,
    pictures: PicturesOption = None,
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
    if pictures is not None and sheet is None:
        raise typer.BadParameter("expected --sheet beside it", param_hint="--pictures")
    recognizer = open_taught_recognizer(bundle, labels, gallery, pictures=pictures)
    cropper = ReadOptions(recognizer.bundle.encoder_spec, crops, detector, detector_model).open_cropper()
    crop = crop_of(picture, cropper)
    found = similar_faces(recognizer, crop, k)
    if sheet is not None:
        from moodspace.viz.contact_sheet import SheetFace, contact_sheet

        faces = [SheetFace(crop, "this face", picture.name)]
        kept = recognizer.pictures.of([one.id for one in found])
        for one in found:
            at_hand = kept.get(one.id)
            if at_hand is None:
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
    tell_left_out(source.left_out)


def tell_left_out(left_out: list[str]) -> None:
    """Report files that are neither pictures nor videos."""
    if count := len(left_out):
        names = ", ".join(Path(path).name for path in left_out[:5])
        more = f" and {count - 5} more" if count > 5 else ""
        what = "1 other file" if count == 1 else f"{count} other files"
        say(f"left out {what}, neither a picture nor a video: {names}{more}")
