"""The commands about data and training: `train`, `evaluate`, `explore`, `curves`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodspace.cli.app import (
    DEFAULT_BUNDLE,
    BundleOption,
    JsonOption,
    LabelsOption,
    PriorOption,
    command,
    open_recognizer,
    print_json,
    progress_bars,
    say,
    tell_skipped,
)

if TYPE_CHECKING:
    from moodspace.classifier.bundle.bundle import Bundle
    from moodspace.embeddings.data.labelled import LabelledFaces


# Below this many validation faces the 95 % interval of an accuracy is wider than 10 points on either side.
FEW_FACES = 100


@command
def train(
    data: Annotated[Path, typer.Argument(help="Labelled faces: a folder, fer2013.csv or a parquet file.")],
    out: Annotated[Path, typer.Option("--out", help="Bundle to write.")],
    validation: Annotated[Path | None, typer.Option("--validation", help="Labelled faces to validate on.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Split of DATA to train on; default `train`, or the only one.")
    ] = None,
    validation_split: Annotated[
        str | None,
        typer.Option(
            "--validation-split",
            help="Split to validate on, or the share of the training faces to hold out, as 0.2; default validation, "
            "or 0.1 where there is none.",
        ),
    ] = None,
    everyday: Annotated[
        Path | None,
        typer.Option("--everyday", help="Labelled faces of everyday life to fit the default view to; never learned."),
    ] = None,
    labels: Annotated[str, typer.Option("--labels", help="Label sets to learn, comma-separated; by default all.")] = "",
    arch: Annotated[
        str, typer.Option("--arch", help="Backbone: mobilenet_v2, cnn, vgg or resnet_se.")
    ] = "mobilenet_v2",
    init: Annotated[str | None, typer.Option("--init", help="Initial weights: imagenet, a file, or none.")] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Maximum number of epochs; default depends on --arch.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of weights, order and augmentation.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for any field of the recipe; repeatable.")
    ] = None,
    teachers: Annotated[
        list[Path] | None, typer.Option("--teacher", help="<bundle>.training folder to distill from; repeatable.")
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option("--merge", help="Average finished <bundle>.training folders instead of training; repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted training.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Stop training; bundle the best weights so far.")] = False,
    flips: Annotated[bool, typer.Option(help="Average each face with its mirror image, at twice the cost.")] = True,
    int8: Annotated[
        bool, typer.Option("--int8", help="Export 8-bit weights: smaller and faster, slightly less accurate.")
    ] = False,
    keep_weights: Annotated[bool, typer.Option(help="Keep the Keras weights in the bundle.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Train a network on labelled faces, then index, calibrate and export it into a bundle."""
    from moodspace.classifier.bundle.splits import read_training_faces
    from moodspace.classifier.bundle.train import train_bundle
    from moodspace.classifier.metrics import wilson
    from moodspace.embeddings.data.readers import read_labelled_faces
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
        everyday_faces = None if everyday is None else read_labelled_faces(everyday, progress=start("read"))
    faces, held_out = read.train, read.validation
    skipped = [*read.skipped, *(everyday_faces.skipped if everyday_faces is not None else ())]
    tell_skipped([(s.source, s.reason) for s in skipped])
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
            finish=finish, flip=flips, int8=int8, keep_weights=keep_weights, everyday=everyday_faces, report=report,
            progress=start,
        )  # fmt: skip
    if as_json:
        print_json({"bundle": str(out), "validation": figures, "n": len(held_out)})
    else:
        for name, scores in figures.items():
            if scores is None:
                typer.echo(f"{name}: no accuracy, as a single validation face cannot be cross-fitted")
                continue
            if "ensemble" not in scores:  # the blend, by scene
                by_scene = (f"{scene} {one['accuracy']:.1%}" for scene, one in scores.items())
                typer.echo(f"{name}: " + ", ".join(by_scene) + ", cross-fitted")
                continue
            parts = []
            for part in ("head", "knn", "ensemble"):
                low, high = wilson(scores[part]["accuracy"], scores["n"])
                parts.append(f"{part} {scores[part]['accuracy']:.1%} ({100 * low:.0f}-{100 * high:.0f})")
            told = f"{name}: " + ", ".join(parts)
            typer.echo(f"{told} on {scores['n']} validation faces, cross-fitted (95 % intervals)")
        typer.echo(f"wrote {out}")
    if skipped:
        raise typer.Exit(1)


def split_or_share(text: str | None) -> str | float | None:
    """Parse the name of a split, or a share such as 0.2 or 20%."""
    if text is None:
        return None
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return text


@command
def evaluate(
    data: Annotated[Path, typer.Argument(help="Labelled face crops.")],
    bundle: BundleOption = DEFAULT_BUNDLE,
    labels: LabelsOption = None,
    prior: PriorOption = "data",
    split: Annotated[str | None, typer.Option("--split", help="Split to read, if there are several.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", help="Folder for plots, including the most confident mistakes."),
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
    from moodspace.classifier.priors import BALANCED, DATA, read_prior
    from moodspace.embeddings.data.readers import read_labelled_faces
    from moodspace.embeddings.encoder import encode_all
    from moodspace.embeddings.files.paths import require_folder_at

    if plots is not None:
        require_folder_at(plots)
    recognizer = open_recognizer(bundle, labels, prior=prior)
    loaded = recognizer.bundle
    with progress_bars() as start:
        faces = read_labelled_faces(data, split=split, progress=start("read"))
        encoded = encode_all(loaded.encoder, faces.crops, start("evaluate"))
    judged = score_faces(loaded, faces, labels, encoded=encoded, prior=recognizer.prior)
    figures = score_judged(judged, faces).to_json()
    if plots is not None:
        from moodspace.viz.evaluation_plots import plot_evaluation

        note = compared_with(loaded, faces, figures["label_set"])[0]
        say("wrote " + ", ".join(str(path) for path in plot_evaluation(judged, faces.crops, plots, compared=note)))
    # What to hold the default against, unless one view was asked for.
    others = [] if labels else [name for name in loaded.views if name != loaded.default_labels]
    if prior not in (BALANCED, DATA):  # a file is made for the classes of one view
        others = [name for name in others if loaded.views[name] == recognizer.classes]
    views = {
        name: score(loaded, faces, name, encoded=encoded, prior=read_prior(prior, loaded.views[name])).to_json()
        for name in others
    }
    tell_skipped([(s.source, s.reason) for s in faces.skipped])
    if as_json:
        print_json(figures | ({"views": views} if views else {}))
    else:
        for one in (figures, *views.values()):
            print_evaluation(one, compared_with(loaded, faces, one["label_set"]))
    if faces.skipped:
        raise typer.Exit(1)


def compared_with(bundle: "Bundle", faces: "LabelledFaces", view: str) -> list[str]:
    """Return lines that say which labels a view is compared with, and what follows if they are not its own."""
    from moodspace.classifier.evaluation import compared_labels

    truth = compared_labels(faces, view)
    blend = bundle.blend if view not in bundle.classes else None
    mixed = f", a mix of {' and '.join(blend.shares)}" if blend is not None else ""
    lines = [f"view {view}{mixed}, compared with the labels {truth} of the data"]
    if blend is not None:
        fitted = f"is fitted to {blend.truth}" if blend.weights is None else "is a compromise between them"
        lines.append(f"These label many of the same faces differently, and the confidence {fitted}.")
        lines.append(
            f"Against {truth} alone accuracy is lower and the calibration error (ece) higher than those of a view"
        )
        lines.append(f"made for {truth}; --labels {truth} scores that one alone.")
    elif truth != view:
        lines.append(f"The data have no labels {view}: classes are matched by name, and may mean something else there.")
    return lines


def print_evaluation(figures: dict[str, Any], compared: Sequence[str]) -> None:
    """Print what is compared, the scores, the accuracy by coverage, and each class."""

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
def explore(
    data: Annotated[
        list[Path], typer.Argument(help="Labelled face crops; several are treated as splits.", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the page and the JSON.")] = Path("explore"),
    errors: Annotated[
        bool, typer.Option("--errors/--no-errors", help="Look for label errors; needs a bundle and takes longest.")
    ] = True,
    bundle: BundleOption = DEFAULT_BUNDLE,
    as_json: JsonOption = False,
) -> None:
    """Explore a data set: classes, examples, brightness, duplicates within and across splits, likely label errors."""
    from moodspace.classifier.bundle.bundle import load_bundle
    from moodspace.embeddings.files.paths import require_folder_at
    from moodspace.viz.explore.document import summary, to_document
    from moodspace.viz.explore.exploration import explore as look
    from moodspace.viz.explore.page import write_exploration

    require_folder_at(out)
    loaded = load_bundle(bundle) if errors else None
    with progress_bars() as start:
        found = look(data, bundle=loaded, progress=start)
    page, document = write_exploration(found, out)
    tell_skipped([(one.source, one.reason) for one in found.data.unreadable])
    if as_json:
        print_json(to_document(found))
    else:
        typer.echo("\n".join([*summary(to_document(found)), f"wrote {page} and {document}"]))
    if found.data.unreadable:
        raise typer.Exit(1)


@command
def curves(
    runs: Annotated[list[Path], typer.Argument(help="Bundles, their .training folders, or logs (CSV).", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", help="PNG file to write.")] = Path("curves.png"),
) -> None:
    """Plot trainings: loss, accuracy, learning rate, triplets and distances over the epochs."""
    from moodspace.embeddings.files.paths import require_file_at
    from moodspace.embeddings.training.training_folder import find_log, read_log
    from moodspace.viz.training_curves import draw_curves

    require_file_at(out)
    logs = [find_log(run) for run in runs]
    names = [run.stem if len({one.stem for one in runs}) == len(runs) else str(run) for run in runs]
    draw_curves({name: read_log(log) for name, log in zip(names, logs, strict=True)}, out)
    typer.echo(f"wrote {out}")
