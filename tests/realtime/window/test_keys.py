"""Keys change the state of the window or return an action; neither needs a window."""

import pytest

from moodspace.realtime.window.keys import HELP, UNNAMED, Action, Command, Controls

CLASSES = ("angry", "happy", "müde")


@pytest.fixture
def controls() -> Controls:
    controls = Controls()
    controls.update([2, 5, 9], CLASSES)
    return controls


def type_text(controls: Controls, text: str) -> None:
    for letter in text:
        assert controls.press(ord(letter)) is None


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("q", Command.QUIT),
        ("Q", Command.QUIT),
        ("\x1b", Command.QUIT),
        ("s", Command.SNAPSHOT),
        ("u", Command.UNDO),
        ("b", Command.BASELINE),
    ],
)
def test_keys_that_ask_for_something(controls: Controls, key: str, command: Command) -> None:
    assert controls.press(ord(key)) == Action(command)


@pytest.mark.parametrize(("key", "name"), [(" ", "paused"), ("m", "map"), ("e", "evidence"), ("h", "help")])
def test_keys_that_switch(controls: Controls, key: str, name: str) -> None:
    before = getattr(controls, name)
    assert controls.press(ord(key)) is None
    assert getattr(controls, name) is not before
    controls.press(ord(key))
    assert getattr(controls, name) is before


def test_numbers_teach_the_classes_in_order(controls: Controls) -> None:
    taught = [controls.press(ord(str(number))) for number in range(1, 10)]
    assert taught[:3] == [Action(Command.TEACH, name) for name in CLASSES]
    assert taught[3:] == [None] * 6


def test_tab_goes_through_the_faces_in_sight(controls: Controls) -> None:
    seen = [controls.selected]
    for _ in range(3):
        controls.press(9)
        seen.append(controls.selected)
    assert seen == [2, 5, 9, 2]


def test_a_chosen_face_is_selected_again_when_it_is_back(controls: Controls) -> None:
    controls.press(9)
    controls.update([2, 9], CLASSES)
    assert controls.selected == 2
    controls.update([2, 5, 9], CLASSES)
    assert controls.selected == 5


def test_without_faces_nothing_is_selected_or_named(controls: Controls) -> None:
    controls.update([], CLASSES)
    controls.press(9)
    controls.press(ord("n"))
    assert controls.selected is None
    assert controls.name is None


def test_a_typed_name_is_taught_canonically(controls: Controls) -> None:
    controls.press(ord("n"))
    type_text(controls, "Quite Happqy")
    controls.press(8)
    controls.press(127)
    type_text(controls, "y")
    assert controls.name == "Quite Happy"
    assert controls.press(13) == Action(Command.TEACH, "quite happy")
    assert controls.name is None
    controls.press(ord("n"))
    type_text(controls, "joy")
    assert controls.press(10) == Action(Command.TEACH, "happy")


def test_keys_are_letters_while_a_name_is_typed(controls: Controls) -> None:
    controls.press(ord("n"))
    type_text(controls, "qms u1h")
    assert controls.name == "qms u1h"
    assert (controls.paused, controls.help, controls.map) == (False, False, True)


def test_a_name_can_be_given_up(controls: Controls) -> None:
    controls.press(ord("n"))
    type_text(controls, "bored")
    assert controls.press(27) is None
    assert controls.name is None
    controls.press(ord("n"))
    assert controls.name == ""
    type_text(controls, "  ")
    assert controls.press(13) is None
    assert controls.name is None


def test_a_name_has_room_for_so_many_letters_and_no_signs(controls: Controls) -> None:
    controls.press(ord("n"))
    for key in (0xFFE1, 9, 0xE4, -5, 0x1F600):
        controls.press(key)
    assert controls.name == "ä"
    type_text(controls, "x" * 99)
    assert controls.name == "ä" + 23 * "x"


def test_an_event_is_named_as_it_is_typed_with_or_without_faces(controls: Controls) -> None:
    controls.update([], CLASSES)
    controls.press(ord("x"))
    assert controls.marking
    type_text(controls, "Film q A")
    assert controls.press(13) == Action(Command.MARK, "Film q A")
    controls.press(ord("x"))
    assert controls.press(13) == Action(Command.MARK, UNNAMED)
    controls.press(ord("x"))
    assert controls.press(27) is None and controls.name is None
    controls.update([2], CLASSES)
    controls.press(ord("n"))
    assert not controls.marking


def test_escape_leaves_the_help_first(controls: Controls) -> None:
    controls.press(ord("h"))
    assert controls.press(27) is None
    assert not controls.help
    assert controls.press(27) == Action(Command.QUIT)


@pytest.mark.parametrize("key", [0xFFE1, 0, -1, ord("z"), ord("0"), 0x10FFFF + 1])
def test_other_keys_do_nothing(controls: Controls, key: int) -> None:
    before = dict(vars(controls))
    assert controls.press(key) is None
    assert vars(controls) == before


def test_the_help_names_every_key_that_does_something(controls: Controls) -> None:
    named = {key for key, _ in HELP}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        fresh = Controls()
        fresh.update([1], CLASSES)
        before = dict(vars(fresh))
        does = fresh.press(ord(letter)) is not None or vars(fresh) != before
        assert does == (letter in named), letter
