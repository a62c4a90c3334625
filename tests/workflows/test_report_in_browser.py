"""The report in a real browser: headless Chromium, without network. Skipped where there is none, except on CI."""

import dataclasses
import importlib.util
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature, answers, predictions
from verdicts import EVIL, evidence_of

from tunegate.reporting.pull_request import PullRequest, pull_request_of
from tunegate.reporting.pull_request_page import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
MISSING = [name for name, found in (("chromium", CHROMIUM), ("playwright", importlib.util.find_spec("playwright")))
           if not found]  # fmt: skip

pytestmark = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("TUNEGATE_TEST_EVERYTHING") != "1", reason=f"needs {' and '.join(MISSING)}"
)


@dataclasses.dataclass(frozen=True)
class Opened:
    """A page with what it asked for and what it complained of."""

    page: Any
    asked: list[str]
    complaints: list[str]

    def shown(self) -> list[str]:
        """The ids of the examples that are in view once every group is unfolded."""
        script = "nodes => nodes.filter(n => !n.hidden).map(n => n.querySelector('.row code').textContent)"
        return list(self.page.locator("article.example").evaluate_all(script))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no chromium in PATH"
    # As root, as in a container, Chromium cannot set up its sandbox.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(first_miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> PullRequest:
    root = Path(shutil.copytree(first_miniature.root, tmp_path_factory.mktemp("page") / "project", symlinks=True))
    made = Miniature(root, first_miniature.run)
    made.predict(predictions(answers(200, 0.75, seed=3)))
    made.change(train__learning_rate=0.5)
    made.commit("Second")
    with evidence_of(root, "HEAD~1", "HEAD") as evidence:
        whole = pull_request_of(evidence, [])
    first, *others = whole.changes.examples
    evil = dataclasses.replace(first, question=EVIL, after=EVIL)
    return dataclasses.replace(whole, changes=dataclasses.replace(whole.changes, examples=[evil, *others]))


@pytest.fixture(scope="module")
def address(report: PullRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(report, tmp_path_factory.mktemp("out"))[0].as_uri()


def opened(browser: Any, address: str, **context: Any) -> Opened:
    page = browser.new_context(**context).new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def only_the_page(route: Any) -> None:
        asked.append(route.request.url)
        route.continue_() if route.request.url == address else route.abort()

    page.route("**/*", only_the_page)
    page.goto(address)
    return Opened(page, asked, complaints)


def test_it_opens_from_disk_asks_for_nothing_and_complains_of_nothing(browser: Any, address: str) -> None:
    found = opened(browser, address)
    assert found.page.locator("h1").inner_text() == "Pass, with 1 warning"
    assert (found.asked, found.complaints) == ([address], [])
    assert found.page.locator("article.example").first.locator("script").count() == 0


def test_filters_narrow_the_examples_and_say_how_many_are_left(browser: Any, address: str, report: PullRequest) -> None:
    found = opened(browser, address)
    rows = report.changes.examples
    assert len(found.shown()) == 200
    found.page.get_by_label("Outcome", exact=True).select_option("broken")
    assert found.shown() == [row.id for row in rows if row.outcome == "broken"]
    found.page.get_by_label("language", exact=True).select_option("sv")
    swedish = [row.id for row in rows if row.outcome == "broken" and row.slices["language"] == "sv"]
    assert found.shown() == swedish
    assert found.page.get_by_role("status").inner_text() == f"{len(swedish)} of 200 examples"
    found.page.get_by_label("Label", exact=True).select_option("roof")
    assert found.shown() == [row.id for row in rows if row.id in swedish and row.label == "roof"]


def test_a_search_finds_text_of_question_answer_and_id_whatever_its_case(browser: Any, address: str) -> None:
    found = opened(browser, address)
    found.page.get_by_label("Text", exact=True).fill("ROW-00042")
    assert found.shown() == ["row-00042"]
    assert found.page.locator("article.example:not([hidden])").is_visible(), "its group is unfolded"
    found.page.get_by_label("Text", exact=True).fill("nothing like it")
    assert found.shown() == []
    found.page.get_by_label("Text", exact=True).fill("")
    assert len(found.shown()) == 200


def test_without_script_every_example_can_be_read(browser: Any, address: str) -> None:
    found = opened(browser, address, java_script_enabled=False)
    assert not found.page.locator("#filters").is_visible()
    assert found.page.locator("article.example").first.is_visible()
    found.page.locator("summary", has_text="Still wrong").click()
    assert found.page.locator(".group.wrong article").first.is_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_does_not_scroll_sideways(browser: Any, address: str, width: int) -> None:
    found = opened(browser, address, viewport={"width": width, "height": 800})
    found.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert found.page.evaluate("document.documentElement.scrollWidth") == width


def test_light_and_dark_both_have_contrast(browser: Any, address: str) -> None:
    papers = []
    for scheme in ("light", "dark"):
        found = opened(browser, address, color_scheme=scheme)
        papers.append(found.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert found.page.evaluate(CONTRAST) == []
    assert papers[0] != papers[1]


def test_a_keyboard_reaches_the_filters_and_every_field_has_a_name(browser: Any, address: str) -> None:
    found = opened(browser, address)
    unnamed = "nodes => nodes.filter(n => !n.labels.length).map(n => n.id)"
    assert found.page.locator("input, select").evaluate_all(unnamed) == []
    assert [found.page.locator(place).count() for place in ("main", "nav", "header", "footer", "h1")] == [1] * 5
    levels = found.page.locator("h1, h2, h3, h4").evaluate_all("nodes => nodes.map(n => Number(n.tagName[1]))")
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    found.page.keyboard.press("Tab")
    found.page.keyboard.press("Enter")
    found.page.keyboard.press("Tab")
    assert found.page.evaluate("document.activeElement.id") == "f-outcome"


CONTRAST = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const paper = node => {
    for (; node; node = node.parentElement) {
      const found = channels(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll('main *, header *, nav *, footer *')) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || node.closest('svg') || !node.checkVisibility()) continue;
    const one = light(channels(getComputedStyle(node).color)), other = light(paper(node));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) bad.push(`${node.className || node.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
}"""
"""Names of elements whose text is too faint on its paper (WCAG 2.2, 1.4.3: 4.5 to 1)."""
