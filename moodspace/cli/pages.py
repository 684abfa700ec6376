"""The commands `visualize`, `web` and `doctor`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moodspace import __version__
from moodspace.cli.app import (
    DEFAULT_BUNDLE,
    BundleOption,
    GalleryOption,
    JsonOption,
    LabelsOption,
    PicturesOption,
    TLSCAOption,
    TLSCertOption,
    TLSKeyOption,
    ToOption,
    UnprotectedOption,
    command,
    open_recognizer,
    open_taught_recognizer,
    print_json,
    progress_bars,
    say,
    sink_options,
    tell_skipped,
)

if TYPE_CHECKING:
    from moodspace.classifier.recognizer import Recognizer
    from moodspace.viz.map.faces import TaughtOnMap


@command
def web(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any address but loopback requires a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8501,
    public: Annotated[bool, typer.Option("--public", help="Require no token.")] = False,
    token: Annotated[
        str | None, typer.Option("--token", envvar="MOODSPACE_WEB_TOKEN", help="Token to require; generated if needed.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Public address behind a proxy, such as https://faces.example.org."),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", help="Folder that keeps each visitor's taught faces; by default they are forgotten."),
    ] = None,
    pictures: PicturesOption = None,
    visitors: Annotated[int, typer.Option("--visitors", min=1, help="Maximum number of browsers at once.")] = 16,
    to: ToOption = None,
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Send only while at least this many faces can be read.")
    ] = 5,
    tls_cert: TLSCertOption = None,
    tls_key: TLSKeyOption = None,
    tls_ca: TLSCAOption = None,
    unprotected: UnprotectedOption = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Second bundle, to compare with on the Photo page.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the app in a browser.")] = False,
    static: Annotated[
        Path | None,
        typer.Option(
            "--static",
            file_okay=False,
            help="Write the app as a static site to this folder and stop; only --bundle and --labels count.",
        ),
    ] = None,
) -> None:
    """Serve the web app: live, photos, videos, map and teaching in a browser. Needs the extra `web`.

    With `--static`, write a site that does all of it in the visitor's browser, for any web host; see `serve-static`.
    This needs no extra.
    """
    from moodspace.embeddings.files.paths import require_folder_at

    if static is not None:
        _write_static(static, bundle, labels)
        return
    from moodspace.web.server.serve import address, serve
    from moodspace.web.server.settings import Limits, WebSettings, token_for

    if gallery is not None:
        require_folder_at(gallery)
    options = sink_options(to, False, min_group, unprotected, tls_cert, tls_key, tls_ca)
    settings = WebSettings(
        bundle=bundle.resolve(),
        labels=labels,
        compare=compare and compare.resolve(),
        host=host,
        port=port,
        token=token_for(host, token, public=public),
        origins=tuple(origin or ()),
        gallery=gallery and gallery.resolve(),
        pictures=pictures and pictures.resolve(),
        limits=Limits(visitors=visitors),
        # The server changes the current folder.
        to=tuple(text if ":" in text else str(Path(text).resolve()) for text in to or ()),
        min_group=min_group,
    )
    serve(
        settings,
        ready=lambda: typer.echo(f"{address(settings)}  (Ctrl-C ends it)"),
        open_browser=open_browser,
        options=options,
        tell=say,
    )


def _write_static(out: Path, bundle: Path, labels: str | None) -> None:
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.web.site.write import write_site

    size = write_site(load_bundle(bundle), out, version=__version__, view=labels)
    typer.echo(f"wrote {out} ({size / 1e6:.0f} MB); see it: moodspace serve-static {out}")


@command
def serve_static(
    site: Annotated[Path, typer.Argument(help="Folder that `web --static` wrote.", metavar="SITE")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8502,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Send the headers with which browsers allow several threads.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the site in a browser.")] = False,
) -> None:
    """Serve a static site to browsers on this machine, or on the network with `--host`. The server sees no pictures."""
    from moodspace.web.site.serve import SiteServer, serve_site

    server = SiteServer(site, host, port, isolated=isolated)
    serve_site(server, ready=lambda: typer.echo(f"{server.address}  (Ctrl-C ends it)"), open_browser=open_browser)


@command
def visualize(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labelled face crops to add to the map.", metavar="DATA")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="Folder for picture, page and projector files.")
    ] = Path("map"),
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    gallery: GalleryOption = None,
    own: Annotated[bool, typer.Option("--taught/--no-taught", help="Also show your taught faces.")] = True,
    pictures: PicturesOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of the layout; by default that of the stored layout.")
    ] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Compute the layout again.")] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Also draw the picture on a dark background.")] = False,
) -> None:
    """Draw the map (UMAP) of the gallery, your taught faces and data: a PNG, a page, files for TensorBoard."""
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
    if own:
        recognizer = open_taught_recognizer(bundle, labels, gallery, pictures=pictures)
    else:
        recognizer = open_recognizer(bundle, labels, pictures=pictures)
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
    """Read the user's taught faces and those of their pictures that still exist."""
    from moodspace.index.ingest.read_faces import crop_whole_picture
    from moodspace.index.ingest.source_crops import crops_from_sources
    from moodspace.index.ingest.workers import ReadOptions
    from moodspace.index.taught.user_gallery import default_gallery, newest_taught
    from moodspace.viz.map.faces import TaughtOnMap

    faces = newest_taught(gallery or default_gallery(), recognizer.bundle.encoder_spec)
    if faces is None:
        return None
    cropper = ReadOptions(recognizer.bundle.encoder_spec, crops=False).open_cropper()
    kept = recognizer.pictures.of(faces.ids.tolist())
    return TaughtOnMap(faces, *crops_from_sources(faces, (crop_whole_picture, cropper), progress, kept))


@command
def doctor(bundle: BundleOption = DEFAULT_BUNDLE, as_json: JsonOption = False) -> None:
    """Check packages, bundle, detector and camera; say what is missing and how to get it."""
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
