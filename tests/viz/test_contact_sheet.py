"""Tests of viz/contact_sheet.py."""

import numpy as np
import pytest

from moodspace.viz.contact_sheet import SheetFace, contact_sheet


def face(tone, title="happy 0.912", note=""):
    return SheetFace(np.full((48, 48), tone, np.uint8), title, note)


def test_faces_stand_in_rows_in_their_order():
    tones = [10, 60, 110, 160, 210]
    sheet = np.asarray(contact_sheet([face(tone) for tone in tones], columns=3))
    middles = [(16 + 72 + row * 205, 16 + 72 + column * 160) for row in range(2) for column in range(3)]
    assert [tuple(sheet[place]) for place in middles] == [(tone,) * 3 for tone in tones] + [(255, 255, 255)]


def test_a_face_without_a_picture_leaves_its_place():
    drawn = np.asarray(contact_sheet([face(0), SheetFace(None, "sad 0.5")]))
    assert tuple(drawn[20, 16 + 160 + 2]) == (0xE4,) * 3
    assert (drawn[16 + 60 : 16 + 90, 16 + 160 :] < 0x90).any()


def test_words_stay_below_their_face():
    plain = np.asarray(contact_sheet([face(0, ""), face(0, "")]))
    long = np.asarray(contact_sheet([face(0, "W" * 90, "/a/long/way/to/" + "x" * 90 + ".png"), face(0, "")]))
    assert not np.array_equal(plain, long)
    assert np.array_equal(plain[:, 16 + 144 :], long[:, 16 + 144 :])
    assert np.array_equal(plain[: 16 + 144], long[: 16 + 144])


def test_one_face_makes_a_sheet_of_one():
    assert contact_sheet([face(0)]).size[0] == 160 + 16
    for faces, columns in (([], 6), ([face(0)], 0)):
        with pytest.raises(ValueError, match="sheet: expected"):
            contact_sheet(faces, columns)
