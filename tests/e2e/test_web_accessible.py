"""Pages as people with little sight, without a mouse or on a phone meet them: axe, widths, keyboard."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP

from tests.e2e.test_web_journeys import log_in
from tests.support.services.furnished import ELSEWHERE, PAGES, furnish
from tests.support.services.in_process import System
from tests.support.services.web import PASSWORD

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
#: What axe examines: WCAG 2.2 AA and its own best practices.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FINDINGS = """async ([tags, only]) => {
  const runOnly = only.length ? { type: "rule", values: only } : { type: "tag", values: tags };
  // No rule of these tags reads style sheets or media again.
  const options = { runOnly, resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run(document, options);
  const text = (id, node) => `${id}: ${node.target} ${node.html.slice(0, 140)}`;
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => text(id, node)));
}"""
#: What axe does not see: parts that leave the screen, and targets of less than 24 pixels that stand apart.
BEYOND_AXE = """(width) => {
  const found = [];
  const past = document.documentElement.scrollWidth - window.innerWidth;
  if (past > 0) found.push(`${past} pixels too wide`);
  const targets = "input[type=checkbox], input[type=radio], button, select, .btn, summary";
  for (const element of width < 768 ? document.querySelectorAll(targets) : []) {
    const { width: wide, height: high } = element.getBoundingClientRect();
    const small = wide && (high < 23.5 || wide < 23.5);
    if (small && !element.closest(".visually-hidden, .skip-link, [disabled]")) {
      found.push(`target ${wide}x${high}: ${element.outerHTML.slice(0, 140)}`);
    }
  }
  return found;
}"""
#: Rules of axe: all, none, and contrast, which takes as long as all others: in either theme at the widest.
ALL, NONE, CONTRAST = (), None, ("color-contrast",)
#: What depends on the width, where menus fold, tables become blocks, and parts scroll; the DOM is the same.
NARROW = (
    *("target-size", "scrollable-region-focusable", "region", "bypass", "skip-link", "page-has-heading-one"),
    *("button-name", "link-name", "label", "aria-hidden-focus", "aria-command-name", "empty-heading"),
    *(
        "empty-table-header",
        "th-has-data-cells",
        "td-headers-attr",
        "landmark-one-main",
        "link-in-text-block",
    ),
)
#: Themes and widths (desktop, tablet, phone), and what is examined there: as few changes of either as can be.
LOOKS: tuple[tuple[Literal["light", "dark"], int, tuple[str, ...] | None], ...] = (
    ("light", 1440, ALL),
    ("dark", 1440, CONTRAST),
    ("dark", 390, NARROW),
    ("light", 390, NONE),
    ("light", 820, NONE),
)


@pytest.fixture
def address(system: System) -> str:
    """The page of a site with something on each page."""
    furnish(system)
    system.start("web")
    return f"http://127.0.0.1:{system.settings.web_port}"


class Examination:
    """What is wrong with the pages that were examined, by page, theme and width."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.wrong: dict[str, list[str]] = {}

    def examine(self, name: str) -> None:
        """Examine the open page: all rules, contrast in either theme, sizes at all widths."""
        page = self._page
        page.evaluate("document.querySelectorAll('main details').forEach((part) => { part.open = true; })")
        for theme, width, rules in LOOKS:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            found = page.evaluate(BEYOND_AXE, width) if theme == "light" else []
            if rules is not None:
                found += page.evaluate(FINDINGS, [TAGS, rules])
            if found:
                self.wrong[f"{name} {theme} at {width}"] = found


def test_every_page_of_the_url_map_is_examined(site):
    # When
    rules = [rule for rule in site.app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    endpoints = {rule.endpoint for rule in rules if not rule.endpoint.startswith("api.")}

    # Then
    assert endpoints == PAGES.keys() | ELSEWHERE


# Some sixty pages, each in several looks: on a busy machine that takes minutes.
@pytest.mark.timeout(300)
def test_axe_finds_nothing_on_any_page(address, new_page):
    # Given
    # Colours that still change would be measured half-way.
    page = new_page((1440, 900), reduced_motion="reduce")
    # A browser compiles it once for all pages this way.
    page.add_init_script(AXE)
    examination = Examination(page)

    # When
    page.goto(f"{address}/login")
    examination.examine("/login")
    page.get_by_role("button", name="Log in").click()
    examination.examine("/login refused")
    log_in(page, address, "admin")
    for name in (*(name for names in PAGES.values() for name in names), "/nowhere"):
        response = page.goto(address + name)
        assert response is not None
        assert response.status == (404 if name == "/nowhere" else 200), name
        examination.examine(name)
    _examine_second_factor(page, address, examination)

    # Then
    assert examination.wrong == {}


def _examine_second_factor(page: Page, address: str, examination: Examination) -> None:
    """Examine the pages that are seen while a second factor is set up, and once it is required."""
    page.goto(f"{address}/account/second-factor")
    secret = page.locator("#totp-secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(TOTP(secret).now())
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    examination.examine("recovery codes")
    page.goto(f"{address}/account/second-factor")
    examination.examine("/account/second-factor in use")
    page.context.clear_cookies()
    log_in(page, address, "admin")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second step")
    examination.examine("/login/code")


def test_the_theme_is_that_of_the_system_until_one_is_chosen(address, new_page):
    # Given
    page = new_page(color_scheme="dark")
    page.goto(f"{address}/login")
    expect(page.get_by_label("User name")).to_be_focused()
    log_in(page, address, "viewer")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")

    # When
    page.get_by_text("Account of viewer").click()
    page.get_by_role("button", name="Dark").click()
    page.reload()

    # Then
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_the_language_is_chosen_and_stays(address, new_page):
    # Given
    page = new_page(locale="en-GB")
    log_in(page, address, "viewer")

    # When
    page.get_by_text("Account of viewer").click()
    page.get_by_role("button", name="Deutsch").click()
    page.goto(f"{address}/jobs")

    # Then
    expect(page.get_by_role("heading", level=1)).to_have_text("Aufträge")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_the_keyboard_alone_reaches_content_and_menus(address, new_page):
    # Given
    page = new_page()
    log_in(page, address, "admin")
    page.goto(f"{address}/jobs")

    # When
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    # Then
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")

    # When
    page.get_by_text("Imports").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    # Then
    expect(page.get_by_role("link", name="Query remote server")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Imports")).to_be_focused()
    expect(page.get_by_role("link", name="Query remote server")).to_be_hidden()
