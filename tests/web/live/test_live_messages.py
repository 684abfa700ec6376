"""What a browser sends is read with suspicion: 2,000 messages that chance made, and those known to be bad."""

import json
import random
import struct

import numpy as np
import pytest

from moodspace.web.live.messages import MessageError, class_list, decode_frame, read_frame, read_request, ready
from moodspace.web.server.settings import Limits
from tests.web.hostile import FRAMES, JPEG, REQUESTS, fuzzed, of_size, picture
from tests.web.served import frame


def test_a_frame_comes_apart() -> None:
    message = read_frame(struct.pack("<Id", 7, 12.5) + JPEG)
    assert (message.sequence, message.sent, message.jpeg) == (7, 12.5, JPEG)
    assert decode_frame(message.jpeg).shape == (240, 320, 3)


def test_colours_are_bgr() -> None:
    red = picture("JPEG", (32, 32), (255, 0, 0))
    assert np.abs(decode_frame(red)[5, 5].astype(int) - (0, 0, 255)).max() < 4


@pytest.mark.parametrize("message", FRAMES)
def test_bad_frames_are_refused_in_one_line(message) -> None:
    with pytest.raises(MessageError) as caught:
        decode_frame(read_frame(message).jpeg)
    assert str(caught.value).startswith("expected ") and "\n" not in str(caught.value)


def test_a_bomb_is_not_decoded(monkeypatch) -> None:
    monkeypatch.setattr("moodspace.web.live.messages.cv2.imdecode", lambda *given: pytest.fail("was decoded"))
    for jpeg in (of_size(60_000, 60_000), of_size(10_000, 10_000), picture("JPEG", (2000, 20))):
        with pytest.raises(MessageError):
            decode_frame(jpeg)


@pytest.mark.parametrize("text", REQUESTS)
def test_bad_requests_are_refused_in_one_line(text) -> None:
    with pytest.raises(MessageError) as caught:
        read_request(text)
    assert str(caught.value).startswith("expected ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [{"type": "start", "mirror": True}, {"type": "undo"}, {"type": "reset"},
     {"type": "teach", "track": 3, "label": "confused"}, {"type": "record", "on": True, "min_group": 3},
     {"type": "mark", "name": "joke", "ago": 1.5}, {"type": "mark", "name": "", "ago": 0},
     {"type": "collect", "track": 3}, {"type": "collect", "track": None}, {"type": "drop", "number": 2},
     {"type": "lesson", "label": "confused", "keep": False}, {"type": "discard"}, {"type": "baseline", "track": 2}],
)  # fmt: skip
def test_good_requests_are_understood(request_) -> None:
    assert read_request(json.dumps(request_)) == request_


def test_chance_finds_no_other_error() -> None:
    understood = refused = 0
    for message in fuzzed(2000, seed=random.Random(1).getrandbits(32)):
        try:
            if isinstance(message, bytes):
                assert decode_frame(read_frame(message).jpeg).ndim == 3
            else:
                assert read_request(message)["type"]
            understood += 1
        except MessageError:
            refused += 1
    assert understood > 100 and refused > 100  # else chance would not have tried much


def test_the_first_message_names_classes_colours_and_limits() -> None:
    first = json.loads(json.dumps(ready(("happy", "sad", "confused"), Limits(frames_per_second=7))))
    assert [one["name"] for one in first["classes"]] == ["happy", "sad", "confused"]
    assert len({one["shade"] for one in first["classes"]}) == 3 and first["limits"]["frames_per_second"] == 7
    assert class_list(()) == []


def test_frame_numbers_are_whole_and_positive() -> None:
    assert read_frame(frame(2**32 - 1, JPEG)).sequence == 2**32 - 1
