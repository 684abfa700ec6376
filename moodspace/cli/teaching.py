"""The commands that teach: `index`, `teach`, `forget` and `gallery`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    P,
    R,
    _Command,
    app,
    command,
    guard,
    open_recognizer,
    print_json,
    progress_bars,
    say,
    tell_some,
)

if TYPE_CHECKING:
    pass


@command
def index(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with one subfolder of pictures per class.", metavar="FOLDER"),
    ] = None,
    crops: Annotated[
        bool | None,
        typer.Option(
            "--crops/--faces",
            help="Use whole pictures, or find faces in them; by default as last time, at first --faces.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every file again; needed after a change of encoder.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Number of worker processes; 0 for one per core.")
    ] = 0,
    engine: Annotated[str, typer.Option("--engine", help="processes, or ray for a cluster.")] = "processes",
    ray_address: Annotated[str | None, typer.Option("--ray-address", help="HOST:6379, or auto.")] = None,
    keep_pictures: KeepPicturesOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sync your gallery with folders of labelled pictures; without FOLDER, with the folders it already knows.

    What is interrupted goes on at the next run. The exit code is 1 where a file gave no face.
    """
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.index.ingest.folders import SyncRequest
    from moodspace.index.ingest.rebuild import index_gallery
    from moodspace.index.ingest.workers import ReadOptions, usable_cores
    from moodspace.index.taught.user_gallery import default_gallery

    if engine not in ("processes", "ray"):
        raise typer.BadParameter(f"expected processes or ray, got {engine!r}", param_hint="--engine")
    loaded, folder = load_bundle(bundle), gallery or default_gallery()
    reading = ReadOptions(loaded.encoder_spec, False, detector, detector_model)
    asked = SyncRequest(
        folders or [], reading, crops, full, workers or usable_cores(),
        engine == "ray", ray_address, dry_run, keep_pictures,
    )  # fmt: skip
    with progress_bars() as start:
        indexed = index_gallery(folder, asked, start("index"))
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


@command
def teach(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.", metavar="PICTURE")],
    label: Annotated[str, typer.Option("--label", help="The expression they show; a new name makes a new class.")],
    crops: CropsOption = False,
    keep_pictures: KeepPicturesOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    detector: DetectorOption = "centerface",
    detector_model: DetectorModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add example faces under a label; the next prediction uses them. `forget --last` undoes it.

    The exit code is 1 where a picture gave no face that could be taught.
    """
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.index.ingest.folders import SyncRequest, embed_pictures
    from moodspace.index.ingest.teach import picture_paths
    from moodspace.index.ingest.teach import teach as teach_pictures
    from moodspace.index.ingest.workers import ReadOptions
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    name = class_label(label)
    paths = picture_paths(pictures)
    if not paths:
        raise ValueError(f"{', '.join(map(str, pictures))}: expected pictures, found an empty folder; name another")
    loaded = load_bundle(bundle)
    encoder = loaded.encoder_spec
    embedded = embed_pictures(
        paths, SyncRequest([], ReadOptions(encoder, crops, detector, detector_model)), crops=crops
    )
    with progress_bars() as start, open_gallery(gallery or default_gallery(), encoder, create=True) as opened:
        report = teach_pictures(
            opened, name, embedded, total=len(paths), progress=start("teach"), keep_pictures=keep_pictures
        )
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
    ids: Annotated[list[int] | None, typer.Option("--id", help="Forget a face by its id; repeatable.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Forget the faces of a picture, a folder, `live`, or `import:...`.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Undo the last teaching.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget taught faces: a class, single faces, a picture or folder, or the last teaching."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.index.ingest.teach import forget_source
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    if sum([label is not None, bool(ids), source is not None, last]) != 1:
        raise typer.BadParameter("expected exactly one of --label, --id, --source and --last")
    name = class_label(label) if label is not None else ""
    with open_gallery(gallery or default_gallery(), load_bundle(bundle).encoder_spec) as opened:
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
        say("nothing matched; `moodspace gallery` lists what was taught")
        raise typer.Exit(1)


def class_label(typed: str) -> str:
    """Return the class name given by --label."""
    from moodspace.embeddings.data.labels import ClassNameError, class_name

    try:
        return class_name(typed)
    except ClassNameError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from error


gallery_app = typer.Typer(invoke_without_command=True, help="Show, verify, export and import your taught faces.")


app.add_typer(gallery_app, name="gallery")


@gallery_app.callback()
def _gallery(context: typer.Context, gallery: GalleryOption = None) -> None:
    if context.invoked_subcommand is None:
        gallery_show(gallery=gallery)
    elif str(context.get_parameter_source("gallery")).endswith("COMMANDLINE"):
        raise typer.BadParameter(f"expected after {context.invoked_subcommand}", param_hint="--gallery")


def gallery_command(run: Callable[P, R]) -> Callable[P, R]:
    """Register a command of `gallery`, as `command`."""
    guarded = guard(run)
    gallery_app.command(run.__name__.removeprefix("gallery_"), cls=_Command)(guarded)
    return guarded


@gallery_command
def gallery_show(
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the classes: the number of their faces, how well they separate, and where the faces are from."""
    from moodspace.classifier.separation import separation
    from moodspace.index.taught.user_gallery import default_gallery, describe_gallery, open_gallery, summary_document

    folder, recognizer = gallery or default_gallery(), open_recognizer(bundle, labels)
    with open_gallery(folder, recognizer.bundle.encoder_spec, read_only=True) as opened:
        summary = opened.summary()
        apart = separation(recognizer, opened, summary.labels)
    if as_json:
        told = {name: one.to_json() for name, one in apart.items()}
        print_json(summary_document(folder, summary) | {"separation": told})
    else:
        notes = {name: one.summary for name, one in apart.items()}
        typer.echo("\n".join(describe_gallery(folder, summary, notes)))


@gallery_command
def gallery_relabel(
    label: Annotated[str, typer.Option("--label", help="The expression they show; a new name makes a new class.")],
    ids: Annotated[list[int], typer.Option("--id", help="A taught face by its id; repeatable.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach taught faces as another class, under new ids. `forget --last` undoes it."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    name = class_label(label)
    with open_gallery(gallery or default_gallery(), load_bundle(bundle).encoder_spec) as opened:
        changed = list(opened.relabel(ids, name).ids)
    if as_json:
        print_json({"label": name, "ids": changed})
    else:
        typer.echo(f"{name}: {len(changed)} relabeled" + (f" as {', '.join(map(str, changed))}" if changed else ""))
    if not changed:
        say("nothing changed; `moodspace gallery` lists what was taught")
        raise typer.Exit(1)


@gallery_command
def gallery_verify(
    bundle: BundleOption = DEFAULT_BUNDLE, gallery: GalleryOption = None, as_json: JsonOption = False
) -> None:
    """Check every face for damage; exit code 3 if there is any."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    with open_gallery(gallery or default_gallery(), load_bundle(bundle).encoder_spec, read_only=True) as opened:
        problems, faces = opened.verify(), len(opened)
    if as_json:
        print_json({"faces": faces, "problems": problems})
    else:
        typer.echo("\n".join(problems) or f"{faces} faces, all sound")
    if problems:
        raise typer.Exit(3)


@gallery_command
def gallery_export(
    file: Annotated[Path, typer.Argument(help="File to write: .parquet, or .json, which needs no pyarrow.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
) -> None:
    """Write labels, sources, times and embeddings to a file; no pictures."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.index.taught.exchange import export_gallery
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    require_file_at(file)
    with open_gallery(gallery or default_gallery(), load_bundle(bundle).encoder_spec, read_only=True) as opened:
        typer.echo(f"wrote {export_gallery(opened, file)} faces to {file}")


@gallery_command
def gallery_import(
    file: Annotated[Path, typer.Argument(help="A file that `gallery export` or the browser app wrote.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    gallery: GalleryOption = None,
) -> None:
    """Add the faces of an exported gallery that are not there yet."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.embeddings.files.paths import FILE, describe_path
    from moodspace.index.store.commit import GalleryError
    from moodspace.index.taught.exchange import import_gallery
    from moodspace.index.taught.user_gallery import default_gallery, open_gallery

    if (found := describe_path(file)) != FILE:
        raise GalleryError(f"{file}: expected an exported gallery, found {found}")
    loaded = load_bundle(bundle)
    with open_gallery(gallery or default_gallery(), loaded.encoder_spec, create=True) as opened:
        added, known = import_gallery(opened, file)
    typer.echo(f"{added} faces added, {known} known already")
