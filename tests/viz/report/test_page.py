"""Tests of the report of a session: its figures, its texts, and that it loads nothing."""

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from moodspace.sessions import WITHHELD, FaceSeconds, GroupSeconds, Session
from moodspace.viz.report.changes import WINDOW_S, changes
from moodspace.viz.report.data import Kept, bin_session, seconds_kept
from moodspace.viz.report.page import report_page, write_report

CLASSES = ("happy", "neutral", "sad")
CALM, GLAD = (0.2, 0.7, 0.1), (0.7, 0.2, 0.1)


def seconds(proba, *, second=None, faces=None, readable=None, unsure=None):
    """Rows of five readable faces unless something else is said; NaN shares where `readable` is withheld."""
    proba = np.array(proba, np.float32).reshape(-1, len(CLASSES))
    n = len(proba)
    filled = [np.full(n, 5) if column is None else np.array(column) for column in (faces, readable)]
    proba[filled[1] == WITHHELD] = np.nan
    none = np.where(filled[1] == WITHHELD, WITHHELD, 0)
    at = np.arange(n) if second is None else np.array(second, np.int64)
    unsure = none if unsure is None else np.array(unsure)
    return GroupSeconds(at, 1_790_000_000.0 + at, np.ones_like(at), *filled, unsure, proba)


def face_seconds(second, track_ids, shown):
    """Rows of readable faces."""
    measured = np.zeros(len(second), np.float32)
    proba = np.full((len(second), len(CLASSES)), 1 / len(CLASSES), np.float32)
    return FaceSeconds(second, track_ids, shown, np.ones(len(second), bool), measured, measured, measured, proba)


def report(group, **changed):
    nobody = np.zeros(0, np.int64)
    values = {
        "folder": Path("session"),
        "source": "camera 0",
        "started": 1_790_000_000.0,
        "utc_offset": 7200,
        "ended": 1_790_001_200.0,
        "duration": float(group.second.max(initial=-1) + 1),
        "min_group": 5,
        "individuals": False,
        "classes": CLASSES,
        "since": np.zeros(len(CLASSES), np.int64),
        "group": group,
        "faces": face_seconds(nobody, nobody, nobody),
        "gaps": (),
        "missing": (),
        "keeps_video": False,
    }
    return Session(**(values | changed))


def payload(html):
    return json.loads(html.split('id="data">')[1].split("</script>")[0])


def words(html):
    """What stands on the page."""
    body = html.split("<body>")[1].split("<script")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("&lt;", "<")


class Balanced(HTMLParser):
    """Raises where an element is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def twenty_minutes(n_faces=20):
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([4, 6, 2], 1200)
    group = seconds(
        shares, faces=np.full(1200, n_faces), readable=np.full(1200, n_faces - 2), unsure=rng.integers(0, 3, 1200)
    )
    second, ids = np.repeat(np.arange(1200), n_faces), np.tile(np.arange(1, n_faces + 1), 1200)
    faces = face_seconds(second, ids, rng.integers(-1, 3, len(ids)))
    return report(group, individuals=True, faces=faces)


def test_stretches_are_means_of_what_was_recorded():
    group = seconds(
        [CALM, CALM, GLAD, CALM, CALM], second=[0, 1, 2, 4, 9], faces=[5, 6, 8, -1, 7], readable=[5, 5, 7, -1, -1]
    )
    bins = bin_session(report(group), 2)
    assert bins.kept.tolist() == [Kept.SHARES, Kept.SHARES, Kept.TOO_FEW, Kept.NO_FRAMES, Kept.TOO_FEW_READABLE]
    np.testing.assert_allclose(bins.proba[:2], [CALM, GLAD], atol=1e-6)
    assert (
        bins.faces[:2].tolist() == [5.5, 8]
        and np.isnan(bins.proba[2:]).all()
        and bins.seconds.tolist() == [2, 1, 0, 0, 0]
    )
    told = {Kept.SHARES: 3, Kept.TOO_FEW: 1, Kept.TOO_FEW_READABLE: 1, Kept.NO_FRAMES: 5}
    assert seconds_kept(report(group)) == told


def test_a_change_is_found_where_it_is_and_told():
    group = seconds([CALM] * 100 + [GLAD] * 100)
    (found,) = changes(group)
    assert found.second == 100 and found.size == pytest.approx(0.5)
    np.testing.assert_allclose([found.before, found.after], [CALM, GLAD], atol=1e-6)
    said = words(report_page(report(group)))
    assert " 1 1:40 " in said and "neutral 70 % → 20 %" in said and "happy 20 % → 70 %" in said
    assert "moment of change 1" in said


@pytest.mark.parametrize(
    "group",
    [
        seconds([]),
        seconds([CALM] * 300),
        seconds([CALM] * (WINDOW_S // 2) + [GLAD] * 100),  # too soon to know when
        seconds([CALM] * 100 + [(0.3, 0.6, 0.1)] * 100),  # too small
        seconds([CALM] * 50 + [GLAD] * 50, second=[*range(50), *range(100, 150)]),  # nobody knows when
    ],
)
def test_no_change_is_made_up(group):
    assert changes(group) == []


def test_chance_names_few_moments():
    # Five faces that hold an expression for 10 s in the mean, for 20 minutes, ten times over.
    rng, named = np.random.default_rng(0), 0
    for _ in range(10):
        shown = rng.choice(3, size=(1200, 5), p=CALM)
        for at in range(1, 1200):
            shown[at] = np.where(rng.random(5) > 1 / 10, shown[at - 1], shown[at])
        named += len(changes(seconds((0.125 + 0.625 * np.eye(3)[shown]).mean(axis=1))))
    assert named <= 20  # 15 points alone name 152


def test_nothing_is_said_of_what_was_not_kept():
    group = seconds([CALM] * 60, faces=[-1] * 30 + [6] * 30, readable=[-1] * 60)
    made = report_page(
        report(group, gaps=((10.0, 12.5, "camera 0 was <lost>"),), missing=("The recording was killed.",))
    )
    said = words(made)
    assert "Fewer than 5 faces visible 0:30 50 %" in said
    assert "5 or more faces visible, fewer than 5 readable 0:30 50 %" in said
    assert "0:10 to 0:12: camera 0 was &lt;lost&gt;" in made and "<lost>" not in made
    assert "The recording was killed." in said
    assert "Single faces were not recorded" in said and "neutral 70 %" not in said and "Number of faces" not in said
    assert payload(made)["kept"] == [Kept.TOO_FEW] * 30 + [Kept.TOO_FEW_READABLE] * 30


def test_shares_by_minute_and_doubt_are_numbers_on_the_page():
    group = seconds([CALM] * 60 + [GLAD] * 30, unsure=[1] * 90, faces=[10] * 90, readable=[8] * 90)
    said = words(report_page(report(group)))
    assert "0:00 60 s 10.0 70 % 20 % 10 % 1:00 30 s 10.0 20 % 70 % 10 %" in said
    assert "unreadable: too small, blurred or turned away 20 %" in said and "unsure: no clear expression 10 %" in said


def test_a_session_that_ends_within_a_second_has_no_gap_after_it():
    made = report_page(report(seconds([CALM] * 15), duration=15.002))
    assert "recorded all the time" in words(made) and payload(made)["kept"] == [Kept.SHARES] * 15
    assert payload(report_page(report(seconds([CALM] * 15), duration=24.7)))["kept"][15:] == [Kept.NO_FRAMES] * 10


def test_longer_sessions_have_longer_rows_not_more():
    at = np.arange(0, 8 * 3600, 20)
    made = report_page(report(seconds([CALM] * len(at), second=at)))
    assert made.count("<tr><th>") < 80 and "By 10 minutes" in made
    assert all(int(bins) <= 6000 for bins in re.findall(r'viewBox="0 0 (\d+) 1000"', made))
    assert len(payload(made)["kept"]) <= 14400


def test_single_faces_stand_there_only_when_they_were_recorded():
    faces = face_seconds(np.array([0, 0, 1]), np.array([3, 4, 3]), np.array([0, -1, 1]))
    group = seconds([CALM] * 2)
    shown = words(report_page(report(group, individuals=True, faces=faces)))
    assert "face 3 0:02" in shown and "face 4 0:01" in shown and "Single faces were recorded, identified" in shown
    assert "face 3" not in words(report_page(report(group)))


def test_a_session_with_nothing_in_it_makes_a_page():
    made = report_page(report(seconds([]), ended=None, duration=0.0))
    Balanced().feed(made)
    assert "No frames received" in words(made) and "nan" not in made.split("<script")[0].split("<body>")[1]


def test_the_page_says_what_it_is_and_is_not():
    said = words(report_page(report(seconds([CALM] * 9))))
    assert "Article 5(1)(f)" in said and "not what anybody felt" in said
    assert "camera 0 · Monday, 21 September 2026" in said
    assert "16:13:20 to 16:33:20 (UTC+02:00)" in said
    assert "feels" not in said


def test_names_cannot_run_in_the_page():
    evil = "</script><script>alert(1)</script>"
    made = report_page(report(seconds([CALM] * 9), classes=("happy", evil, "sad"), source=evil))
    assert made.count("<script") == 2 and "alert(1)</script><" not in made
    assert payload(made)["names"][0] == evil


def test_the_page_is_whole_small_and_loads_nothing(tmp_path):
    path = tmp_path / "session.html"
    write_report(twenty_minutes(), path)
    made = path.read_text(encoding="utf-8")
    check = Balanced()
    check.feed(made)
    assert check.open == [] and len(set(check.ids)) == len(check.ids)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bsrc=|<link|<img|fetch\(|XMLHttp", made)
    assert "default-src 'none'" in made and "prefers-color-scheme: dark" in made and "@media print" in made
    assert path.stat().st_size < 1_000_000


def test_a_report_of_twenty_minutes_is_made_at_once():
    session = twenty_minutes()
    start = time.process_time()  # what others do on this machine does not count
    report_page(session)
    assert time.process_time() - start < 2


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="faces: expected 2 rows, as second has, got 1"):
        seconds([CALM] * 2, faces=[5], readable=[5, 5])
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(2, 4\)"):
        report(seconds([CALM] * 2), classes=(*CLASSES, "more"))


def test_the_change_from_the_baseline_is_shown_where_it_was_recorded():
    group = seconds([CALM, GLAD, CALM])
    assert "Change from baseline" not in report_page(report(group))
    change = np.array([[np.nan] * 3, [0.5, -0.5, 0.0], [0.1, -0.1, 0.0]], np.float32)
    made = report_page(report(replace(group, change=change)))
    section = made.partition("<section id=baseline>")[2].partition("</section>")[0]
    cells = re.findall(r'<td class="number">([\d:]+|\d+ %) ?(?:<span class="faint">(.*?)</span>)?</td>', section)
    assert "<th>group</th>" in section and cells == [("0:02", ""), ("45 %", "-30"), ("45 %", "+30"), ("10 %", "+0")]


def test_single_faces_have_their_change_from_the_baseline():
    faces = face_seconds(np.array([0, 0, 1]), np.array([1, 2, 1]), np.array([0, 0, 0]))
    change = np.array([[0.2, -0.2, 0], [np.nan] * 3, [0.4, -0.4, 0]], np.float32)
    session = report(seconds([CALM] * 2), individuals=True, faces=replace(faces, change=change))
    section = report_page(session).partition("<section id=baseline>")[2].partition("</section>")[0]
    assert "face 1" in section and "face 2" not in section and "+30" in section
