"""Write the software bill of materials, which every wheel carries in `.dist-info/sboms` (PEP 770).

    python requirements/sbom.py

CycloneDX 1.6 as JSON: the models and data in the wheel with their digests, the packages in the pages of the static site
if the wheel carries those, and what it requires at run time, in the versions of `requirements/runtime.txt` and
`requirements/web.txt`. Licenses are those that NOTICE names. The same files give the same document.

setuptools has no setting for this yet (84), so pyproject.toml names `WheelWithSBOM` as the command that makes wheels.
"""

import base64
import hashlib
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools.command.bdist_wheel import bdist_wheel

ROOT = Path(__file__).parents[1]
NAME = "moodspace.cdx.json"

# What the wheel carries of others, or derived from their work: the files, what they are to CycloneDX, a description and
# the license. NOTICE has a paragraph on each.
CARRIED = (
    ("bundles/*/encoder.tflite", "machine-learning-model", "Network that encodes faces and predicts expressions", ""),
    ("bundles/*/*", "data", "Part of the bundle: gallery, search index, map and settings", ""),
    ("embeddings/detection/centerface.onnx", "machine-learning-model", "CenterFace, the face detector", "MIT"),
    ("realtime/astronaut.webp", "data", "Picture of Eileen Collins by NASA", "public domain"),
)
# What bundles were derived from.
ANCESTORS = (
    ("machine-learning-model", "MobileNetV2", "https://github.com/google-coral/test_data", "Apache-2.0"),
    ("data", "FER2013", "https://arxiv.org/abs/1307.0414", "published for a research challenge"),
    ("data", "FER+", "https://github.com/microsoft/FERPlus", "MIT"),
)
BUILT_PAGES = "web/browser/dist/index.html"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]*[^\\\s]))?", re.MULTILINE)
# A row of NOTICE's tables: names, two spaces or more, the license; and what follows a table in prose.
_ROW = re.compile(r"^  (\S.*?) {2,}(\S.*)$", re.MULTILINE)
_ALSO = re.compile(r"also (\S+) \(([^)]+)\)")
_SPDX = re.compile(r"(?!BSD$)[A-Za-z0-9.+-]+( (AND|OR) [A-Za-z0-9.+-]+)*")


def bill_of_materials(root: Path = ROOT) -> dict[str, Any]:
    """Return the document for a checkout.

    Args:
        root: The checkout's folder.
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.search(r'^__version__ = "(.+)"', (root / "moodspace/__init__.py").read_text("utf-8"), re.MULTILINE)
    if version is None:
        raise ValueError("moodspace/__init__.py: expected __version__, got none")
    itself = _package("pypi", settings["name"], version[1], settings["license"])
    required = list(_pinned(root, "runtime.txt", "required"))
    names = {one["name"] for one in required}
    optional = [one for one in _pinned(root, "web.txt", "optional") if one["name"] not in names]
    direct = {_normalized(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in settings["dependencies"]}
    scripts = list(_scripts(root))
    carried = list(_carried(root))
    needed = [*carried, *scripts, *(one for one in required if one["name"] in direct)]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": [*carried, *scripts, *required, *optional],
        "dependencies": [{"ref": itself["bom-ref"], "dependsOn": sorted(one["bom-ref"] for one in needed)}],
    }
    content = json.dumps(document, sort_keys=True)
    return document | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def licenses(notice: str) -> dict[str, str]:
    """Return the license of each package in the tables of NOTICE, by the package's normalized name."""
    rows = [*_ROW.findall(notice), *_ALSO.findall(notice)]
    return {_normalized(name): text for names, text in rows for name in names.split(", ")}


def _normalized(name: str) -> str:
    return name if name.startswith("@") else re.sub(r"[-_.]+", "-", name).lower()


def _license(text: str) -> list[dict[str, Any]]:
    expression = text.replace(" or ", " OR ")
    if not text:
        return [{"license": {"name": "see NOTICE"}}]
    return [{"expression": expression}] if _SPDX.fullmatch(expression) else [{"license": {"name": text}}]


def _package(kind: str, name: str, version: str, license_text: str, scope: str = "") -> dict[str, Any]:
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return found | {"licenses": _license(license_text)} | ({"scope": scope} if scope else {})


def _pinned(root: Path, file: str, scope: str) -> Iterator[dict[str, Any]]:
    known = licenses((root / "NOTICE").read_text(encoding="utf-8"))
    for name, version, marker in _PIN.findall((root / "requirements" / file).read_text(encoding="utf-8")):
        found = _package("pypi", _normalized(name), version, known.get(_normalized(name), ""), scope)
        # Where it is required, such as on Windows only; some packages have a version for each Python.
        yield found | ({"properties": [{"name": "moodspace:marker", "value": marker}]} if marker else {})


def _scripts(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the npm packages in the built pages; none where there are no pages."""
    if not (root / BUILT_PAGES).is_file():
        return
    lock = json.loads((root / "web/browser/package-lock.json").read_text(encoding="utf-8"))
    for path, one in lock["packages"].items():
        if path and not one.get("dev"):
            name = path.rpartition("node_modules/")[2]
            digest = base64.b64decode(one["integrity"].removeprefix("sha512-")).hex()
            hashes = [{"alg": "SHA-512", "content": digest}]
            yield _package("npm", name, one["version"], one["license"], "required") | {"hashes": hashes}


def _carried(root: Path) -> Iterator[dict[str, Any]]:
    seen: set[Path] = set()
    for pattern, kind, description, license_text in CARRIED:
        for path in sorted(root.glob(pattern)):
            if path in seen or not path.is_file():
                continue
            seen.add(path)
            name = path.relative_to(root).as_posix()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found = {
                "type": kind, "bom-ref": name, "name": name, "description": description, "scope": "required",
                "hashes": [{"alg": "SHA-256", "content": digest}], "licenses": _license(license_text),
            }  # fmt: skip
            yield found | ({"pedigree": _pedigree()} if name.startswith("bundles/") else {})


def _pedigree() -> dict[str, Any]:
    return {
        "ancestors": [
            {
                "type": kind,
                "name": name,
                "licenses": _license(text),
                "externalReferences": [{"type": "website", "url": url}],
            }
            for kind, name, url, text in ANCESTORS
        ]
    }


class WheelWithSBOM(bdist_wheel):  # type: ignore[misc, unused-ignore]
    """Make a wheel with the bill of materials in it."""

    def write_wheelfile(self, wheelfile_base: str, *arguments: Any, **settings: Any) -> None:
        """Write the file WHEEL, the last one before the wheel is packed, and the bill of materials beside it."""
        super().write_wheelfile(wheelfile_base, *arguments, **settings)
        folder = Path(wheelfile_base) / "sboms"
        folder.mkdir(exist_ok=True)
        (folder / NAME).write_text(
            json.dumps(bill_of_materials(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    json.dump(bill_of_materials(), sys.stdout, indent=1, ensure_ascii=False)
    print()
