"""The static site's Live page in a real Chromium: what it shows, what it teaches and what it sends."""

import json
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.index.taught.exchange import export_gallery, import_gallery
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.user_gallery import open_gallery
from tests.web.site.site_pages import SHIPPED, ready, start_camera, until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def live(open_page, site: str, **options) -> "Page":
    return start_camera(ready(open_page(site, **options)))


def hold(page: "Page", button, milliseconds: int = 1200) -> None:
    button.scroll_into_view_if_needed()
    button.hover()
    page.mouse.down()
    page.wait_for_timeout(milliseconds)
    page.mouse.up()


def test_a_smile_is_read_with_its_evidence_and_nothing_is_sent(open_page, site: str) -> None:
    page = live(open_page, site)
    until(page, "navigator.serviceWorker.controller !== null")  # it has stored all files
    sent: list[str] = []
    page.context.on("request", lambda request: sent.append(request.url))
    expect(page.locator(".shown")).to_contain_text("happy")
    expect(page.locator(".evidence li")).to_have_count(5)
    assert float(page.locator(".evidence .number").first.inner_text()) > 0.5
    # Announced once it is stable, not with each frame.
    expect(page.locator(".sight")).to_have_text("One face in view; it shows happy.")
    expect(page.locator(".rolling path").first).to_be_attached()
    for name in ("map", "session", "teach", "live"):
        page.locator(f'.pages a[href="#{name}"]').click()
    page.wait_for_timeout(1500)
    assert sent == [], sent


def drawn(page: "Page", selector: str) -> int:
    """Returns how many pixels of a canvas are not transparent."""
    return page.evaluate(
        """(selector) => {
          const canvas = document.querySelector(selector);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, at) => at % 4 === 3 && value > 0).length;
        }""",
        selector,
    )


def test_boxes_and_the_point_on_the_map_are_drawn_until_the_camera_stops(open_page, site: str) -> None:
    page = live(open_page, site)
    assert drawn(page, ".over") > 500 and drawn(page, ".minimap") > 500
    page.get_by_role("button", name="Camera on: stop").click()
    expect(page.get_by_role("button", name="Start again")).to_be_visible()
    assert drawn(page, ".over") == 0
    assert page.evaluate("document.querySelector('#page-live video').srcObject") is None


def test_a_held_class_collects_different_faces_is_known_at_once_and_undone_as_one(open_page, site: str) -> None:
    page = live(open_page, site)
    page.get_by_placeholder("or a new class").fill("beaming")
    hold(page, page.get_by_role("button", name="Hold to teach"))
    said = page.locator(".lesson-said")
    expect(said).to_contain_text("Taught: beaming")
    expect(page.locator(".shown")).to_contain_text("beaming")
    thumbnails = page.locator(".thumbnails li")
    taught = thumbnails.count()
    assert taught >= 1
    expect(page.get_by_role("button", name="beaming")).to_be_visible()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(said).to_have_text(f"Undone: {taught} {'face' if taught == 1 else 'faces'} forgotten.")
    expect(page.get_by_role("button", name="beaming")).to_have_count(0)
    expect(page.locator(".shown")).to_contain_text("happy")


def test_space_repeats_the_last_class_and_a_thumbnail_can_be_removed(open_page, site: str) -> None:
    page = live(open_page, site)
    page.locator(".lesson .classes").get_by_role("button", name="surprise").press("Enter")
    said = page.locator(".lesson-said")
    expect(said).to_have_text("Taught: surprise, 1 face. Your gallery has 1 face.")
    page.get_by_role("button", name="Remove face 1").click()
    expect(said).to_have_text("Removed. Your gallery has 0 faces.")
    page.locator("#title-live").focus()
    page.keyboard.down(" ")
    page.wait_for_timeout(300)
    page.keyboard.up(" ")
    expect(said).to_contain_text("Taught: surprise")


def test_a_class_without_a_name_is_asked_for(open_page, site: str) -> None:
    page = live(open_page, site)
    page.get_by_role("button", name="Hold to teach").press("Enter")
    expect(page.locator(".lesson-said")).to_have_text("Type the name of the new class first.")
    expect(page.get_by_placeholder("or a new class")).to_be_focused()


def teach_one(page: "Page", label: str) -> None:
    page.get_by_placeholder("or a new class").fill(label)
    page.get_by_role("button", name="Hold to teach").press("Enter")
    expect(page.locator(".lesson-said")).to_contain_text(f"Taught: {label}")


def to(page: "Page", name: str) -> "Page":
    page.locator(f'.pages a[href="#{name}"]').click()
    return page


def test_what_is_taught_is_kept_only_if_the_visitor_says_so(open_page, site: str) -> None:
    page = live(open_page, site)
    teach_one(page, "beaming")
    ready(page.reload() and page)
    expect(to(page, "teach").locator(".gallery .count")).to_contain_text("0 faces")
    start_camera(to(page, "live"))
    teach_one(page, "grinning")
    to(page, "teach").get_by_label("Keep what I teach in this browser").check()
    expect(page.locator(".gallery-status")).to_have_text("Kept in this browser from now on.")
    ready(page.reload() and page)
    expect(page.locator(".own-classes")).to_contain_text("grinning")
    expect(page.get_by_label("Keep what I teach in this browser")).to_be_checked()
    page.get_by_label("Keep what I teach in this browser").uncheck()
    expect(page.locator(".gallery-status")).to_have_text("No longer kept in this browser.")
    ready(page.reload() and page)
    expect(page.locator(".gallery .count")).to_contain_text("0 faces")


def test_python_reads_what_the_page_exports_and_the_page_what_python_exports(open_page, site: str, tmp_path) -> None:
    page = live(open_page, site)
    teach_one(page, "beaming")
    to(page, "teach")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    exported = tmp_path / saved.value.suggested_filename
    saved.value.save_as(exported)
    encoder = load_bundle(SHIPPED).encoder_spec
    with open_gallery(tmp_path / "gallery", encoder, create=True) as gallery:
        assert import_gallery(gallery, exported) == (1, 0)
        assert import_gallery(gallery, exported) == (0, 1)
        assert dict(gallery.summary().labels) == {"beaming": 1}
        (rows,) = gallery.rows()
        # Another face of another class, so that the page gets something new.
        turned = NewFaces(-rows.embeddings, ["sulking"], ["elsewhere.png"], ["ab" * 32])
        gallery.add(turned)
        export_gallery(gallery, tmp_path / "python.parquet")
        export_gallery(gallery, tmp_path / "python.json")
    for name, told in (
        ("python.parquet", "1 face imported, 1 already known."),
        ("python.json", "0 faces imported, 2 already known."),
    ):
        page.locator("input.import").set_input_files(tmp_path / name)
        expect(page.locator(".gallery-status")).to_have_text(told)
    expect(page.locator(".own-classes li")).to_have_count(2)
    (tmp_path / "other.json").write_text(json.dumps({"format": "something"}))
    page.locator("input.import").set_input_files(tmp_path / "other.json")
    expect(page.locator(".gallery-status")).to_contain_text("another file")
    page.get_by_role("button", name="Forget sulking").click()
    expect(page.locator(".own-classes li")).to_have_count(1)
    page.locator(".gallery .undo").click()
    expect(page.locator(".own-classes li")).to_have_count(2)


def test_taught_faces_and_the_view_can_be_seen_on_the_map(open_page, site: str) -> None:
    page = live(open_page, site)
    teach_one(page, "beaming")
    to(page, "map")
    expect(page.locator(".found")).to_contain_text("known faces")
    page.get_by_label("Search a class").fill("surp")
    expect(page.locator(".found")).to_contain_text(": surprise")
    page.locator(".dots").press("n")
    expect(page.locator(".point")).to_contain_text("surprise")
    page.locator(".dots").press("Escape")
    expect(page.locator(".point")).to_be_hidden()
    page.get_by_label("Search a class").fill("nothing like this")
    expect(page.locator(".found")).to_have_text("No class has this name.")
    page.get_by_label("Search a class").fill("")
    page.get_by_label("happy").uncheck()
    expect(page.locator(".found")).not_to_contain_text("happy")
    assert drawn(page, ".dots") > 1000
