"""People log in with a code of their phone, or at an OpenID provider, in a browser."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect
from pyotp import TOTP

from tests.e2e.test_web_journeys import log_in
from tests.support.servers.openid_provider import openid_provider, settings_of
from tests.support.services.in_process import System
from tests.support.services.web import PASSWORD, add_people


def code_at_step(secret: str, steps: int) -> str:
    """Return the code that a phone shows whose clock differs by so many steps."""
    return TOTP(secret).at(int(time.time()) + 30 * steps)


def test_a_second_factor_is_set_up_and_then_required(system: System, page: Page, new_page):
    # Given
    add_people(system.database)
    system.start("web")
    address = f"http://127.0.0.1:{system.settings.web_port}"
    log_in(page, address, "importer")
    # When
    page.goto(f"{address}/account/second-factor")
    expect(page.get_by_role("img", name="QR code of the secret").locator("svg")).to_be_visible()
    secret = page.locator("#totp-secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(code_at_step(secret, 0))
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    # Then
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    other = new_page()
    log_in(other, address, "importer")
    expect(other.get_by_role("heading", level=1)).to_have_text("Second step")
    expect(other.get_by_label("Code", exact=True)).to_be_focused()
    other.get_by_label("Code", exact=True).fill(code_at_step(secret, 1))
    other.get_by_role("button", name="Log in").click()
    expect(other).to_have_url(f"{address}/imports/query")


def test_people_log_in_and_out_at_the_provider(system: System, page: Page):
    # Given
    with openid_provider() as script:
        system.settings = system.settings.model_copy(update=settings_of(script))
        system.start("web")
        address = f"http://127.0.0.1:{system.settings.web_port}"
        # When
        page.goto(f"{address}/nodes")
        page.get_by_role("link", name="Log in with Keycloak").click()
        # Then
        expect(page).to_have_url(f"{address}/nodes")
        page.locator("summary", has_text="Account of").click()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{address}/login")
        assert script.logged_out == [
            {"client_id": ["doseqr"], "post_logout_redirect_uri": [f"{address}/login"]}
        ]
