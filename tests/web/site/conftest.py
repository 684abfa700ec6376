"""One site and one browser for all tests of the static site."""

import pytest

from tests.browser import page_opener
from tests.web.fake_camera import browser_with_camera, write_clip
from tests.web.site.site_pages import serving, written_site


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory):
    return written_site(tmp_path_factory.mktemp("site") / "out")


@pytest.fixture(scope="session")
def site(site_folder):
    with serving(site_folder) as address:
        yield address


@pytest.fixture(scope="module")
def camera_browser(tmp_path_factory):
    clip = tmp_path_factory.mktemp("camera") / "clip.mjpeg"
    write_clip(clip)
    with browser_with_camera(clip) as browser:
        yield browser


@pytest.fixture
def open_page(camera_browser):
    with page_opener(camera_browser) as opened:
        yield opened
