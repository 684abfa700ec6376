"""What the Session page says of a recording, and the files that it gives to take along."""

import base64
import csv
import io
import json
import re

import pytest

from moodspace.classifier.palette import class_shades
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.web.components.recording import document_file, overview, problem, report_file, state, table_file
from moodspace.web.server.recording import LONGEST_S
from tests.realtime.session.recordings import CLASSES, STARTED, group

HAPPY, SAD = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)


@pytest.fixture
def recorded(tmp_path):
    """Records results at the times they have; reads them as they run, or once they ended."""

    def record(*results, min_group=2, ends_after=None):
        clock = iter((STARTED, STARTED + (ends_after or 0.0)))
        recorder = SessionRecorder(
            tmp_path, classes=CLASSES, source="<camera>", min_group=min_group, now=lambda: next(clock)
        )
        with recorder:
            for result in results:
                recorder.add(result, STARTED + result.time)
            if ends_after is None:
                return open_session(tmp_path)
        return open_session(tmp_path)

    return record


def drawing(html: str) -> str:
    return base64.b64decode(re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)[1]).decode()


def test_the_overview_draws_shares_in_the_colors_of_the_classes_and_tells_of_changes(recorded) -> None:
    seconds = [group(3, time=float(at), proba=HAPPY if at < 150 else SAD) for at in range(300)]
    html = overview(recorded(*seconds, ends_after=300.0))
    assert "<svg" not in html  # Streamlit would take it out
    assert all(f'fill="{one}"' in drawing(html) and f"--shade:{one}" in html for one in class_shades(CLASSES))
    moments = html[html.index("id=moments") :]
    assert ">2:30<" in moments and "80 % → 10 %" in moments


def test_without_enough_faces_there_are_figures_but_no_drawing(recorded) -> None:
    html = overview(recorded(group(2, time=0.0), group(2, time=1.0), min_group=5))
    assert "duration" in html and "<img" not in html and "happy" not in html


@pytest.mark.parametrize(
    ("faces", "min_group", "ends_after", "said"),
    [
        ([], 1, None, "Nothing recorded yet. Start the camera"),
        ([0, 0], 1, None, "no readable face has been in view"),
        (
            [4, 4],
            5,
            None,
            "Nothing recorded yet: at least 5 readable faces are needed. Wait for more",
        ),
        ([4, 4], 5, 2.0, "Nothing was recorded: at least 5 readable faces were needed. Discard"),
        ([5, 5], 5, None, None),
        ([5, 5], 5, 2.0, None),
        ([5, 5], 5, LONGEST_S, "ended after 4 hours"),
    ],
)
def test_what_keeps_a_recording_from_telling_more_is_said(recorded, faces, min_group, ends_after, said) -> None:
    results = [group(n, time=float(at)) for at, n in enumerate(faces)]
    session = recorded(*results, min_group=min_group, ends_after=ends_after)
    told = problem(session, STARTED + 2, recording=ends_after is None)
    assert told is None if said is None else said in told


def test_a_recording_that_gets_no_frames_says_so_only_while_it_goes_on(recorded) -> None:
    session = recorded(group(3, time=0.0), group(3, time=1.0))
    assert problem(session, STARTED + 4, recording=True) is None
    assert "No frame for 1:15" in problem(session, STARTED + 75, recording=True)
    assert "No frame" not in problem(session, STARTED + 75, recording=False)


def test_a_recording_that_keeps_nothing_right_now_says_what_it_waits_for(recorded) -> None:
    few = recorded(group(5, time=0.0), group(2, time=1.0), group(2, time=2.0), min_group=5)
    assert re.sub("<.*?>", "", state(few, recording=True)) == "Waiting 5 faces needed"
    assert "Recorded" in state(few, recording=False)


def test_the_state_says_whether_and_of_whom(recorded) -> None:
    session = recorded(min_group=5)
    assert re.sub("<.*?>", "", state(session, recording=True)) == "Recording while at least 5 faces are visible"
    assert re.sub("<.*?>", "", state(session, recording=False)) == "Recorded while at least 5 faces are visible"


def test_table_and_document_say_the_same_and_nothing_of_too_few(recorded) -> None:
    session = recorded(group(3, time=0.0, proba=HAPPY), group(1, time=1.0), group(3, time=2.0), ends_after=3.0)
    document = json.loads(document_file(session))
    rows = list(csv.DictReader(io.StringIO(table_file(session).decode())))
    first, few, _ = document["seconds"]
    assert first["faces"] == int(rows[0]["faces"]) == 3
    assert first["shares"] == {"happy": 0.8, "neutral": 0.1, "sad": 0.1}
    assert float(rows[0]["share_happy"]) == 0.8
    assert few["faces"] is few["readable"] is few["shares"] is None and rows[1]["share_happy"] == ""
    assert document["began"] == "2026-09-21T14:13:20.000+00:00" and document["duration"] == 3.0


def test_the_report_is_one_page_that_takes_names_for_text(recorded) -> None:
    page = report_file(recorded(group(3, time=0.0), ends_after=1.0)).decode()
    assert page.startswith("<!doctype html>") and "&lt;camera&gt;" in page and "<camera>" not in page
