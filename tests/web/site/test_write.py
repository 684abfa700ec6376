"""Tests of web/site/write.py: a whole site or none, files with their hashes, and what the browser reads."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.index.search import GalleryIndex
from moodspace.web.site.write import SiteError, pack_gallery, write_site

PAGE = '<link rel="stylesheet" href="assets/app.css"><script src="assets/app.js"></script>'


@pytest.fixture(scope="module")
def bundle(shipped: Path) -> Bundle:
    return load_bundle(shipped)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Pages as `npm run build` makes them, with a few bytes for each file."""
    files = {
        "index.html": PAGE,
        "manifest.webmanifest": '{"icons": [{"src": "assets/icon.svg"}]}',
        "sw.js": 'const FILES = "PRECACHE", NAME = "VERSION";',
        "app.css": "body { background: url(assets/icon.svg) }",
        "app.js": "start()",
        "worker.js": "work()",
        "icon.svg": "<svg/>",
        **{f"wasm/litert{kind}.{end}": kind + end for kind in ("", "_compat", "_threaded") for end in ("js", "wasm")},
    }
    for name, content in files.items():
        path = tmp_path / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "dist"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_have_hashes_and_are_named_everywhere(bundle: Bundle, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write_site(bundle, out, version="1", built=built) == sum(map(len, content(out).values()))
    files = content(out)
    assert {name for name in files if "/" not in name} == {"index.html", "manifest.webmanifest", "site.json", "sw.js"}
    for name, data in files.items():
        if "/" in name:
            assert re.search(r"\.([0-9a-f]{12})\.", name)[1] == hashlib.sha256(data).hexdigest()[:12]
    for name in ("index.html", "manifest.webmanifest", *(one for one in files if one.endswith(".css"))):
        for named in re.findall(r"assets/[\w.-]+\.(?:svg|css|js)", files[name].decode()):
            assert named in files
    assert files["index.html"].decode() != PAGE
    site = json.loads(files["site.json"])
    entries = [site[name] for name in ("detector", "encoder", "gallery", "sources", "worker")]
    entries += [one for build in site["runtime"].values() for one in build.values()]
    for entry in entries:
        data = files[entry["url"]]
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_service_worker_gets_every_file_and_a_version(bundle: Bundle, built: Path, tmp_path: Path) -> None:
    write_site(bundle, tmp_path / "out", version="1", built=built)
    files = content(tmp_path / "out")
    worker = files["sw.js"].decode()
    listed = json.loads(re.search(r"FILES = (\[.*\]), NAME", worker)[1])
    assert {one["url"] for one in listed} == set(files) - {"sw.js"}
    assert all(one["revision"] == hashlib.sha256(files[one["url"]]).hexdigest() for one in listed)
    assert sorted(one["runtime"] for one in listed if "runtime" in one) == sorted(2 * ["plain", "compat", "threaded"])
    write_site(bundle, tmp_path / "same", version="1", built=built)
    assert content(tmp_path / "same") == files
    (built / "app.js").write_text("changed()")
    write_site(bundle, tmp_path / "changed", version="1", built=built)
    assert content(tmp_path / "changed")["sw.js"] != files["sw.js"]


def test_an_earlier_site_is_replaced_and_other_folders_are_not(bundle: Bundle, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_site(bundle, out, version="1", built=built)
    (out / "left-over.txt").write_text("old")
    write_site(bundle, out, version="2", view="fer2013", built=built)
    assert not (out / "left-over.txt").exists()
    site = json.loads((out / "site.json").read_text())
    assert (site["moodspace"], site["defaultView"]) == ("2", "fer2013")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(SiteError, match="expected an empty folder or a site, got other files"):
        write_site(bundle, other, version="1", built=built)
    with pytest.raises(SiteError, match="expected a folder, got a file"):
        write_site(bundle, other / "mine.txt", version="1", built=built)
    assert content(other) == {"mine.txt": b"mine"}


def test_a_failure_leaves_the_earlier_site(
    bundle: Bundle, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_site(bundle, out, version="1", built=built)
    before = content(out)

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("moodspace.web.site.write._complete_pages", fail)
    with pytest.raises(OSError, match="No space left"):
        write_site(bundle, out, version="2", built=built)
    assert content(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "out"]


def test_what_is_missing_is_said_in_one_line(bundle: Bundle, built: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"expected the built pages, got none; install Node.js .* run `make site`"):
        write_site(bundle, tmp_path / "out", version="1", built=tmp_path / "nothing")
    with pytest.raises(ValueError, match="labels: expected one of"):
        write_site(bundle, tmp_path / "out", version="1", view="other", built=built)
    assert not (tmp_path / "out").exists()


def test_the_gallery_is_packed_as_described(bundle: Bundle) -> None:
    rows = np.array([5, 17, 3])
    few = bundle.index.gallery.take(rows)
    small = replace(bundle, index=GalleryIndex(few, encoder=bundle.index.encoder), map_coordinates=None)
    data, dim = pack_gallery(small, few), bundle.encoder.dim
    at = 4 * dim * (dim + 1)
    assert np.frombuffer(data, "<i4", 3, at).tolist() == [5, 17, 3]
    at += 12
    stored = np.frombuffer(data, "<f2", 3 * dim, at).reshape(3, dim)
    np.testing.assert_array_equal(stored.astype(np.float32), few.embeddings)
    at += 6 * dim
    for name in bundle.classes:
        assert np.frombuffer(data, "i1", 3, at).tolist() == few.labels[name].tolist()
        at += 3
    assert at == len(data)
