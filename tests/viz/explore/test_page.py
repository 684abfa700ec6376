"""Tests of viz/explore/page.py and viz/explore/figures.py."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from moodspace.viz.explore.data import DataParts, Unreadable
from moodspace.viz.explore.document import to_document
from moodspace.viz.explore.exploration import explore_parts
from moodspace.viz.explore.figures import BINS, COLUMNS, MAX_FACES, Thumbnails, histogram
from moodspace.viz.explore.page import CLASSES, EXAMPLES, exploration_page
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.viz.explore.drawn_parts import noted, two_parts, with_copies

VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Checks that what is opened is closed, and collects what a test asks for."""

    def __init__(self, page):
        super().__init__()
        self.open, self.faces, self.notes, self.words = [], 0, [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if named.get("class") == "face":
            self.faces += 1
            self.notes.append(named["aria-label"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass  # SVG paths

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words += data


def written(data, bundle=None):
    found = explore_parts(data, bundle=bundle)
    page = exploration_page(found, to_document(found))
    return page, Reader(page)


def test_every_matter_has_its_section():
    page, reader = written(with_copies(), fake_bundle(drawn_faces(350, 5)))
    for words in ("Faces by class", "Example faces", "Light", "Duplicates", "with different labels",
                  "marked as twins", "Likely label errors", "train and validation"):  # fmt: skip
        assert words in re.sub(r"\s+", " ", reader.words)
    assert reader.faces >= 7 * (EXAMPLES + 1)
    assert page.count('class="card examples"') == 7


def test_it_loads_nothing():
    page, _ = written(with_copies())
    assert not re.search(r"https?:|//[a-z]+\.|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", page)
    assert set(re.findall(r"url\((.{0,20})", page)) == {"data:image/webp;base"}


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", '"><img src=x>', "\udc80.png"])
def test_hostile_names_stay_text(hostile):
    faces = drawn_faces(20, 1, ("happy", "sad"))
    classes = ("happy", hostile)
    sources = tuple(f"{i}{hostile}" for i in range(20))
    data = DataParts(
        noted(faces, classes=classes, sources=sources), np.zeros(20, np.int64), (hostile,),
        (Unreadable(hostile, hostile, hostile),),
    )  # fmt: skip
    page, reader = written(data, fake_bundle(drawn_faces(28, 1)))
    plain, _ = written(DataParts(faces, data.part, ("p",)), fake_bundle(drawn_faces(28, 1)))
    assert page.count("<script") == plain.count("<script") and "<img" not in page
    page.encode("utf-8")
    shown = hostile.encode("utf-8", "replace").decode()
    assert any(shown in words for words in reader.notes) and shown in reader.words


def test_one_class_no_copy_no_question():
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    faces = noted(drawn_faces(3, 1, ("happy",)), crops=noise)
    _, reader = written(DataParts(faces, np.zeros(3, np.int64), ("few",)), fake_bundle(drawn_faces(28, 1)))
    assert "There is only one class" in reader.words
    assert "No duplicates and no near copies" in reader.words
    assert "at least 10 faces each" in reader.words
    assert reader.faces == 3 + 1


def test_many_classes_are_counted_and_some_of_them_shown():
    n = CLASSES + 5
    faces = drawn_faces(n, 1)
    faces = noted(faces, classes=tuple(f"person {i:03}" for i in range(n)), labels=np.arange(n))
    page, reader = written(DataParts(faces, np.zeros(n, np.int64), ("people",)))
    assert page.count('class="card examples"') == page.count('class="card light"') == CLASSES
    assert "and 5 more classes" in reader.words and f"person {n - 1:03}" in reader.words


def test_unreadable_pictures_are_listed_with_their_reasons():
    lost = [Unreadable("train", f"{i}.png", "torn") for i in range(205)]
    _, reader = written(two_parts(unreadable=lost))
    assert "199.png" in reader.words and "200.png" not in reader.words and "and 5 more in the JSON" in reader.words


def test_thumbnails_show_their_own_face():
    shown, crops = Thumbnails(), [np.full((48, 48), tone, np.uint8) for tone in range(0, 250, 5)]
    elements = [shown.face(crop, f"<{number}>") for number, crop in enumerate(crops)]
    assert f'--x:{30 % COLUMNS};--y:{30 // COLUMNS}"' in elements[30] and "&lt;30&gt;" in elements[30]
    packed = re.search(r"base64,([^)]+)\)", shown.style())[1]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("L"))
    assert sheet.shape == (-(-len(crops) // COLUMNS) * 48, COLUMNS * 48)
    for number in (0, 23, 24, 49):
        row, column = divmod(number, COLUMNS)
        assert float(sheet[row * 48 + 24, column * 48 + 24]) == pytest.approx(number * 5, abs=4)


def test_a_page_has_room_for_so_many_faces():
    full = Thumbnails()
    for _ in range(MAX_FACES):
        full.face(np.zeros((48, 48), np.uint8), "")
    with pytest.raises(ValueError, match="thumbnails: expected at most"):
        full.face(np.zeros((48, 48), np.uint8), "")
    Thumbnails().style()  # of none, too


def test_histograms_reach_their_height_where_most_values_are():
    drawn = histogram(np.full(4, 200, np.float32), np.array([10, 300], np.float32), "#0072B2", 255)
    own, everybody = re.findall(r' d="([^"]+)"', drawn)
    top = [float(x) for x, y in re.findall(r"L([\d.]+) ([\d.]+)", own) if float(y) == 0]
    bin_width = 160 / BINS
    assert top == pytest.approx([int(200 / 255 * BINS) * bin_width, (int(200 / 255 * BINS) + 1) * bin_width])
    assert "L160 22.0" in everybody  # what is beyond the edge counts in the last bin, half of all


@pytest.mark.parametrize("width", [1280, 700, 390])
def test_suggested_labels_are_never_cut(open_page, tmp_path, width):
    page, _ = written(with_copies(), fake_bundle(drawn_faces(350, 5)))
    # A name as long as a user may give one, beside the longest of the project's.
    page = page.replace(">surprise</span>", ">an extraordinarily-long-name</span>", 1)
    assert 'class="card doubt"' in page
    (tmp_path / "page.html").write_text(page, encoding="utf-8", errors="replace")
    opened = open_page(tmp_path / "page.html", width=width, height=800)
    cut = opened.evaluate(
        """() => [...document.querySelectorAll(".doubt dd, .doubt dd *")]
          .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline"
            || getComputedStyle(one).textOverflow === "ellipsis"
            || one.getBoundingClientRect().right > one.closest(".doubt").getBoundingClientRect().right)
          .map((one) => one.textContent)"""
    )
    assert cut == []
