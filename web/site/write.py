"""Write the static site for a bundle: the built pages, LiteRT for the web, both networks and the known faces.

Files get a hash of their content in their name, so that browsers may keep them forever. Only the page, the service
worker, the web manifest and `site.json`, which describes the bundle, keep their names.
"""

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.palette import COLORS, OWN_COLORS
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.taught_scores import Whitening, common_classes
from moodspace.embeddings.detection.conversion import convert_centerface
from moodspace.embeddings.detection.detectors import bundled_weights
from moodspace.embeddings.detection.occlusion_weights import BIAS, WEIGHTS
from moodspace.embeddings.encoder import LiteRTEncoder
from moodspace.embeddings.litert import Network
from moodspace.errors import MoodspaceError
from moodspace.index.gallery import Gallery
from moodspace.web.site.networks import pack, prepare_encoder
from moodspace.web.site.pages import complete_page, shared_styles

FORMAT, VERSION = "moodspace-site", 1
# What `npm run build` makes.
BUILT = Path(__file__).parents[1] / "browser" / "dist"

_DESCRIPTION, _PAGE, _WORKER, _MANIFEST = "site.json", "index.html", "sw.js", "manifest.webmanifest"
# The files that name others.
_NAMING = (_PAGE, _MANIFEST)
_RUNTIMES = {"plain": "litert", "compat": "litert_compat", "threaded": "litert_threaded"}
# Labels are stored as 8-bit integers.
_MOST_CLASSES = 127


class SiteError(MoodspaceError):
    """The static site cannot be written or served."""


def write_site(bundle: Bundle, out: Path, *, version: str, view: str | None = None, built: Path = BUILT) -> int:
    """Write the site in one step; an earlier site in the folder is replaced.

    Args:
        bundle: The bundle.
        out: The folder; it is created. It may hold an earlier site, or nothing.
        version: The version of Moodspace, to be shown.
        view: The view to predict at first; None for the bundle's default.
        built: The built pages.

    Returns:
        How many bytes the site has.

    Raises:
        SiteError: The pages are not built, the folder holds something else, or the bundle cannot run in a browser.
        ValueError: The bundle has no such view.
        OSError: A file cannot be written.
    """
    if not (built / _PAGE).is_file() or not (built / "worker.js").is_file():
        raise SiteError(
            f"{built}: expected the built pages, got none; install Node.js 20 or newer with npm and run `make site`"
        )
    if view not in (None, *bundle.views):
        raise ValueError(f"labels: expected one of {sorted(bundle.views)}, got {view!r}")
    _check_replaceable(out)
    with _unfinished(out) as folder:
        files = _Files(folder)
        _copy_pages(built, files)
        description = _describe(bundle, files)
        description |= {"moodspace": version, "defaultView": view or bundle.default_labels}
        files.write(_DESCRIPTION, _json(description))
        _complete_pages(built, files)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check_replaceable(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SiteError(f"{out}: expected a folder, got a file; choose another place")
    if out.is_dir() and any(out.iterdir()):
        try:
            found = json.loads((out / _DESCRIPTION).read_text())["format"]
        except (OSError, ValueError, KeyError, TypeError):
            found = None
        if found != FORMAT:
            raise SiteError(f"{out}: expected an empty folder or a site, got other files; choose another folder")


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Make a folder beside `out` and put it in its place when the block ends without an error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    folder, old = (out.with_name(f".{out.name}.{mark}.{kind}") for kind in ("unfinished", "old"))
    folder.mkdir()
    try:
        yield folder
        if out.exists():
            out.rename(old)
        try:
            folder.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


class _Files:
    """Writes files and remembers how they are called.

    Attributes:
        names: By the original name, the address of each file with a hash in its name.
        digests: The SHA-256 of each file by its address.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, str] = {}
        self.digests: dict[str, str] = {}

    def write(self, address: str, content: bytes) -> None:
        path = self.folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.digests[address] = hashlib.sha256(content).hexdigest()

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        """Write a file with a hash in its name; return its address, size and SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        stem, dot, ending = name.rpartition(".")
        address = f"assets/{stem}.{digest[:12]}{dot}{ending}"
        self.write(address, content)
        self.names[name] = address
        return {"url": address, "bytes": len(content), "sha256": digest}

    def entry(self, name: str) -> dict[str, Any]:
        address = self.names[name]
        return {"url": address, "bytes": (self.folder / address).stat().st_size, "sha256": self.digests[address]}


def _copy_pages(built: Path, files: _Files) -> None:
    """Copy all built files but those that name others, and add the shared styles. Both may name pictures."""
    rest = [path for path in sorted(built.rglob("*")) if path.is_file()]
    rest = [path for path in rest if path.relative_to(built).as_posix() not in (*_NAMING, _WORKER)]
    rest.sort(key=lambda path: path.suffix in (".js", ".css"))
    for path in rest:
        content = path.read_bytes()
        if path.suffix == ".css" or path.name == "app.js":
            content = _renamed(content.decode(), files.names).encode()
        files.add(path.relative_to(built).as_posix(), content)
    for name, style in shared_styles().items():
        files.add(name, style.encode())


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Replace `assets/NAME` by the address of that file, longest names first."""
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"assets/{re.escape(name)}(?![\w.])", names[name], text)
    return text


def _complete_pages(built: Path, files: _Files) -> None:
    for name in _NAMING:
        page = _renamed((built / name).read_text("utf-8"), files.names)
        files.write(name, (complete_page(page) if name == _PAGE else page).encode())
    runtimes = {
        files.names[f"wasm/{stem}.{ending}"]: kind for kind, stem in _RUNTIMES.items() for ending in ("js", "wasm")
    }
    listed = [
        {"url": address, "revision": digest, **({"runtime": runtimes[address]} if address in runtimes else {})}
        for address, digest in sorted(files.digests.items())
    ]
    known = json.dumps(listed, separators=(",", ":"))
    worker = (built / _WORKER).read_text("utf-8")
    version = hashlib.sha256((known + worker).encode()).hexdigest()[:16]
    files.write(_WORKER, worker.replace('"PRECACHE"', known).replace('"VERSION"', json.dumps(version)).encode())


def _describe(bundle: Bundle, files: _Files) -> dict[str, Any]:
    if not isinstance(bundle.encoder, LiteRTEncoder):
        raise SiteError(f"{bundle.path}: expected a network in a file, got none; save the bundle first")
    if wrong := [name for name, classes in bundle.views.items() if len(classes) > _MOST_CLASSES]:
        raise SiteError(f"{bundle.path}: expected at most {_MOST_CLASSES} classes, got more in {wrong[0]}")
    gallery = bundle.index.gallery
    return {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": bundle.encoder_spec.fingerprint,
        "dim": bundle.encoder.dim,
        "flip": bundle.encoder.flip,
        "template": bundle.geometry.to_json()["template"],
        "classes": {name: list(classes) for name, classes in bundle.classes.items()},
        "calibrations": {name: values.to_json() for name, values in bundle.calibrations.items()},
        "blend": bundle.blend.to_json() if bundle.blend else None,
        "gate": bundle.gate.to_json(),
        "quality": bundle.meta.get("quality") or {},
        "commonClasses": {
            name: list(common_classes(Recognizer(bundle, name).gallery_labels, classes))
            for name, classes in bundle.views.items()
        },
        "metrics": bundle.meta.get("metrics"),
        "colors": COLORS,
        "ownColors": list(OWN_COLORS),
        "detector": _network("detector.bin", convert_centerface(bundled_weights()), files),
        "encoder": _network("encoder.bin", prepare_encoder(bundle.encoder.model.read_bytes()), files),
        "gallery": {
            **files.add("gallery.bin", pack_gallery(bundle, gallery)),
            "count": len(gallery),
            "dim": bundle.encoder.dim,
            "hasMap": bundle.map_coordinates is not None,
            "hasIds": not _are_numbered(gallery),
        },
        "sources": files.add("sources.json", _json(gallery.sources.tolist())),
        "occlusion": {"weights": list(WEIGHTS), "bias": BIAS},
        "worker": files.entry("worker.js"),
        "runtime": {
            kind: {"script": files.entry(f"wasm/{stem}.js"), "wasm": files.entry(f"wasm/{stem}.wasm")}
            for kind, stem in _RUNTIMES.items()
        },
    }


def _network(name: str, network: Network, files: _Files) -> dict[str, Any]:
    packed = pack(network.content)
    return {
        **files.add(name, packed.content),
        "segments": packed.segments,
        "places": dict(network.places),
    }


def pack_gallery(bundle: Bundle, gallery: Gallery) -> bytes:
    """Return the known faces as the browser reads them.

    In order, little-endian: the mean and the matrix of the whitening, float32; the ids, int32, unless they count from
    0; the embeddings, float16; the map positions within a square, uint16, if there is a map; and for each label set the
    labels, int8.

    Args:
        bundle: The bundle, for its map.
        gallery: Its known faces.
    """
    whitening = Whitening.fit(gallery.embeddings)
    parts = [whitening.mean.astype("<f4"), whitening.transform.astype("<f4")]
    if not _are_numbered(gallery):
        if gallery.ids.max() >= 2**31:
            raise SiteError(
                f"{bundle.path}: expected ids below {2**31}, got {gallery.ids.max()}; build the gallery again"
            )
        parts.append(gallery.ids.astype("<i4"))
    parts.append(gallery.embeddings.astype("<f2"))
    if (places := bundle.map_coordinates) is not None:
        low = places.min(axis=0, initial=np.inf) if len(places) else np.zeros(2)
        side = float(np.ptp(places, axis=0).max()) if len(places) else 1.0
        parts.append(np.round((places - low) / (side or 1.0) * 65535).astype("<u2"))
    parts += [gallery.labels[name].astype("<i1") for name in bundle.classes]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def _are_numbered(gallery: Gallery) -> bool:
    return bool(np.array_equal(gallery.ids, np.arange(len(gallery))))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
