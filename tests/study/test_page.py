"""The page in a real browser: what it shows, what moves, and that it asks the network for nothing."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gans.study.analyse import analyse
from gans.study.page import Commands
from gans.study.publish import publish
from tests.browser import needs_chromium, open_page
from tests.configs import ROOT
from tests.study.test_known_truth import ARMS, definition, records_in

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    study = definition()
    result = analyse(study, records_in(folder / "runs", study, range(3)))
    return publish(result, folder / "study", Commands("again", "more", dict.fromkeys(ARMS, "train")))


def test_the_slider_moves_all_images_together(browser: Browser, path: Path) -> None:
    page = open_page(browser, path)
    transforms = "[...document.querySelectorAll('.window img')].map((image) => image.style.transform)"
    before = page.evaluate(transforms)
    page.locator("#moment").fill("0")
    after = page.evaluate(transforms)
    assert len(before) == 3 * len(ARMS)
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert page.locator("#moment-text").inner_text() == "training step 0"
    shown = page.locator(".strips figure:visible")
    assert shown.count() == len(ARMS)
    page.locator("#seed").select_option("2")
    assert all("seed 2" in shown.nth(place).inner_text() for place in range(len(ARMS)))


def test_the_table_of_runs_sorts_both_ways(browser: Browser, path: Path) -> None:
    page = open_page(browser, path)
    column = [head.inner_text() for head in page.locator("#runs th").all()].index("FID")

    def values() -> list[float]:
        cells = page.locator(f"#runs tbody tr td:nth-child({column + 1})").all()
        return [float(text) for cell in cells if (text := cell.get_attribute("data-value"))]

    head = page.locator("#runs th button").nth(column)
    head.click()
    assert values() == sorted(values())
    head.click()
    assert values() == sorted(values(), reverse=True)
    assert len(values()) == 3 * len(ARMS)


def test_a_curve_is_chosen_and_zoomed(browser: Browser, path: Path) -> None:
    page = open_page(browser, path)
    names = page.locator("#curve-name option").all()
    page.locator("#curve-name").select_option(index=len(names) - 1)
    limits = "[window.studyPlot.scales.x.min, window.studyPlot.scales.x.max]"
    low, high = page.evaluate(limits)
    box = page.locator("#uplot .u-over").bounding_box()
    assert box
    page.locator("#uplot .u-over").scroll_into_view_if_needed()
    box = page.locator("#uplot .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_timeout(100)
    zoomed = page.evaluate(limits)
    assert low < zoomed[0] < zoomed[1] < high


def test_the_numbers_at_an_axis_differ_however_close_they_are(browser: Browser, path: Path) -> None:
    page = open_page(browser, path)
    for low, high in ((0.693140, 0.693180), (2e-7, 9e-7), (0, 3), (10_000, 90_000)):
        page.evaluate(f"window.studyPlot.setScale('y', {{min: {low}, max: {high}}})")
        page.wait_for_timeout(100)
        shown = page.evaluate("window.studyPlot.axes[1]._values")
        assert len({*shown}) == len(shown) > 1
        assert low <= float(shown[-1].replace(",", "")) <= high


@pytest.mark.parametrize(
    ("width", "script", "dark"), [(390, True, False), (390, False, True), (1400, True, True), (1400, False, False)]
)
def test_it_fits_every_screen(browser: Browser, path: Path, width: int, script: bool, dark: bool) -> None:
    page = open_page(browser, path, width, script, dark)
    main = page.locator("body")
    box = main.bounding_box()
    assert box
    assert box["width"] <= width
    if script:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".answers > li").count() == 5
    assert page.get_by_text("Drag to zoom").is_visible() == script
    assert page.locator("figure svg:visible").count() >= 6
    for figure in page.locator("figure svg:visible").all():
        place = figure.bounding_box()
        assert place
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width
    assert page.locator(".strips img:visible").count() == (len(ARMS) if script else 3 * len(ARMS))


@pytest.mark.slow
@pytest.mark.parametrize(
    "published", sorted((ROOT / "docs" / "evidence").glob("*/index.html")), ids=lambda path: path.parent.name
)
def test_published_pages_fit_a_phone(browser: Browser, published: Path) -> None:
    page = open_page(browser, published, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_it_can_be_printed(browser: Browser, path: Path) -> None:
    assert open_page(browser, path).pdf().startswith(b"%PDF")
