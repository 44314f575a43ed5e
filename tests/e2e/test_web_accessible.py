"""Pages as people with little sight, without a mouse or on a phone meet them: contrast, headings, targets."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from shared.clock import utc_now
from shared.database.models import NodeCheck
from tests.e2e.test_web_journeys import log_in
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, a_task, an_expected
from tests.support.services.in_process import System
from tests.support.services.web import add_people

LONG = "a" * 64
PAGES = (
    "/start",
    "/nodes/1/response-times",
    "/nodes/1/setup",
    "/nodes/1/setup/sheet",
    "/imports/lists",
    "/imports/query",
    "/imports/query?job=q1",
    "/jobs",
    "/jobs/q1",
    "/jobs/r1",
    "/jobs/q1/ledger",
    "/jobs/q1/charts",
    "/jobs/q1/studies/1.1",
    "/nodes",
    "/nodes/add/remote",
    "/users",
    "/tokens",
    "/audit",
    "/system",
    "/notifications",
    "/notifications/add",
    "/notifications/system",
    "/password",
    "/nowhere",
)
#: Desktop, tablet, phone.
WIDTHS = (1440, 820, 390)

#: What is wrong with the page that is shown; each finding is one line.
FINDINGS = """(width) => {
  const found = [];
  const name = (element) => `<${element.tagName.toLowerCase()} class="${element.className}"> ` +
    `${(element.textContent || "").trim().slice(0, 40)}`;
  const visible = (element) => element.checkVisibility({ visibilityProperty: true })
    && !element.closest(".visually-hidden, .skip-link, [disabled], .disabled");
  const parse = (color) => {
    const numbers = color.match(/[\\d.]+/g).map(Number);
    return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const mixed = (top, under, i) => top[i] * top[3] + under[i] * (1 - top[3]);
  const over = (top, under) => [0, 1, 2].map((i) => mixed(top, under, i)).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = (color) => {
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const part = (value) => linear(value / 255);
    return 0.2126 * part(color[0]) + 0.7152 * part(color[1]) + 0.0722 * part(color[2]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || !visible(element)) continue;
    if (element.closest("script, style, noscript, option, datalist")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [a, b] = [light(over(parse(style.color), under)), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${name(element)}`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) found.push(`heading order h${level} to h${now}: ${name(heading)}`);
    level = now;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  for (const element of document.querySelectorAll("span[aria-label], div[aria-label], p[aria-label]")) {
    if (!element.hasAttribute("role")) found.push(`aria-label without a role: ${name(element)}`);
  }
  for (const element of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const named = element.labels?.length || element.getAttribute("aria-label");
    if (!named) found.push(`no label: ${element.id}`);
  }
  for (const element of document.querySelectorAll("a[href], button")) {
    const named = element.textContent.trim() || element.getAttribute("aria-label");
    if (!named) found.push(`no name: ${name(element)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
  for (const id of new Set(twice)) found.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("main *")) {
    const style = getComputedStyle(element);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY)
      && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
    const reached = element.tabIndex >= 0 || !visible(element);
    if (scrolls && !reached) found.push(`scrolls without focus: ${name(element)}`);
  }
  if (width < 768) {
    const targets = "input[type=checkbox], input[type=radio], button, select, .btn";
    for (const element of document.querySelectorAll(targets)) {
      const { width: wide, height: high } = element.getBoundingClientRect();
      const small = wide && (high < 23.5 || wide < 23.5);
      if (small && visible(element)) found.push(`target ${wide}x${high}: ${name(element)} ${element.id}`);
    }
  }
  const past = document.documentElement.scrollWidth - window.innerWidth;
  if (past > 0) found.push(`${past} pixels too wide`);
  return [...new Set(found)];
}"""


@pytest.fixture
def address(system: System) -> str:
    """The page of a site with jobs in several states and with long names."""
    add_people(system.database)
    system.add_remote(LONG, "pacs.radiology.example.org", 11112, "LONGAETITLE16CHR")
    system.add_remote("dead", "::1", 104, "DEAD")
    system.add_own_store()
    columns = {"description": "Thorax", "station_name": "CT-1", "accession_number": "A1"}
    with system.database.write() as session:
        session.add(NodeCheck(node_id=1, ok=True, outcome="answers", rtt_ms=3.0, checked_at=utc_now()))
        session.add(NodeCheck(node_id=2, ok=False, outcome="connection refused", checked_at=utc_now()))
        failed = {"status": "incomplete", "slices_failed": 1, "slices_total": 2, "studies_missing": 1}
        session.add(a_query("q1", remote_name=LONG, studies_found=3, studies_kept=1, **failed))
        session.add(a_query("q2", requested_by="admin", status="running", requested_at=utc_now()))
        session.add(a_query("q3", requested_by="admin", status="failed", detail="No answer."))
        session.flush()
        session.add(a_study("1.1", "q1", **columns))
        session.add(a_study("1.2", "q1", decision="drop", reason="known"))
        session.add(a_study("1.3", "q1", state="missing", decision="", reason="study_not_answered"))
        session.add(a_series("1.1", "1.1.1", "q1"))
        session.add(a_task("q1", payload={"code": "CT", "date_from": "2024-01-01"}, error="timed_out"))
        session.add(a_retrieve("r1", "q1", status="incomplete", asked=2, arrived=1))
        session.flush()
        session.add(an_expected("1.1", "1.1.1", "1.1.1.1", "r1"))
        session.add(an_expected("1.1", "1.1.1", "1.1.1.2", "r1", state="missing", reason="not_arrived"))
    system.start("web")
    return f"http://127.0.0.1:{system.settings.web_port}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_have_contrast_order_names_and_large_targets(address, new_page, theme):
    # Given
    page = new_page((WIDTHS[0], 900), color_scheme=theme)
    wrong: dict[str, list[str]] = {}

    def examine(name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if found := page.evaluate(FINDINGS, width):
                wrong[f"{name} at {width}"] = found

    # When
    page.goto(f"{address}/login")
    examine("/login")
    log_in(page, address, "admin")
    for name in PAGES:
        page.goto(address + name)
        page.evaluate(
            "document.querySelectorAll('main details').forEach((details) => { details.open = true; })"
        )
        examine(name)
    # Then
    assert wrong == {}


def test_the_theme_is_chosen_and_stays(address, new_page):
    # Given
    page = new_page(color_scheme="light")
    page.goto(f"{address}/login")
    expect(page.get_by_label("User name")).to_be_focused()
    log_in(page, address, "viewer")
    # When
    page.get_by_text("Account of viewer").click()
    page.get_by_role("button", name="Dark").click()
    page.reload()
    # Then
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
