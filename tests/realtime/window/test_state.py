"""The layout of picture and panel in windows of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodspace.realtime.window.state import ViewState, arrange, window_size

sides = st.integers(1, 4000)


@given(sides, sides, st.none() | st.tuples(sides, sides), st.booleans())
def test_picture_and_panel_lie_in_the_window(
    height: int, width: int, size: tuple[int, int] | None, panel: bool
) -> None:
    layout = arrange((height, width), ViewState(size=size, map=panel))
    assert layout.size == (size or (width, height))
    for area in (layout.picture, layout.panel or layout.picture):
        assert 0 <= area.left < area.right <= layout.size[0]
        assert 0 <= area.top < area.bottom <= layout.size[1]
    assert panel or layout.panel is None
    if layout.beside:
        assert layout.panel is not None
        assert layout.picture.shared(layout.panel) == 0


@pytest.mark.parametrize(
    ("height", "width"), [(540, 960), (360, 640), (1080, 1920), (1920, 1080), (48, 48), (600, 800)]
)
@pytest.mark.parametrize("panel", [False, True])
def test_the_first_window_fits_a_small_screen_and_the_picture(height: int, width: int, panel: bool) -> None:
    size = window_size((height, width), panel=panel)
    assert size[0] <= 1281
    assert size[1] <= 720
    layout = arrange((height, width), ViewState(size=size, map=panel))
    assert layout.beside == (panel and size[0] >= 760)
    assert layout.picture.width / layout.picture.height == pytest.approx(width / height, rel=0.02)
    if not panel:
        assert (layout.picture.width, layout.picture.height) == size


def test_what_nearly_fits_keeps_its_pixels() -> None:
    size = window_size((540, 960), panel=True)
    layout = arrange((540, 960), ViewState(size=size, map=True))
    assert layout.scale == 1
    assert (layout.picture.width, layout.picture.height) == (960, 540)
    assert layout.picture.left == 0
