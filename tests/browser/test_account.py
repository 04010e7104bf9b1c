"""/account in a real browser that runs no script, and under axe's rules in one that does."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.account import change_password, sign_in
from tests.support import pages
from tests.support.api import BOB
from tests.support.node import MODULES
from tests.support.parts import missing
from tests.support.server import Server

NEW = "correct horse battery"
AXE = MODULES / "axe-core" / "axe.min.js"
PHONE = ViewportSize(width=390, height=844)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"

no_scripts = pytest.mark.parametrize("profile", [{"java_script_enabled": False}])


def log_in_elsewhere(server: Server) -> None:
    answer = server.request("POST", "/auth/login", BOB, {"User-Agent": FIREFOX})
    assert answer.status == 200


@no_scripts
def test_one_sees_ones_logins_and_ends_one_or_all_others(page: Page, server: Server) -> None:
    for _ in range(3):
        log_in_elsewhere(server)
    sign_in(page)
    expect(page.get_by_text("This device")).to_have_count(1)
    others = page.get_by_role("button", name="Sign out Firefox on Windows")
    expect(others).to_have_count(3)
    expect(page.get_by_text("127.0.0.1")).to_have_count(4)
    others.first.click()
    expect(page.get_by_role("status")).to_have_text("The device is signed out.")
    expect(others).to_have_count(2)
    page.get_by_role("button", name="Sign out all other devices").click()
    expect(page.get_by_text("You are signed in nowhere else.")).to_be_visible()
    expect(page.get_by_text("This device")).to_have_count(1)


@no_scripts
def test_one_changes_the_password_and_signs_out(page: Page, server: Server) -> None:
    log_in_elsewhere(server)
    sign_in(page)
    page.get_by_role("link", name="Change password").click()
    change_password(page, "wrong", NEW)
    expect(page.get_by_role("alert")).to_have_text("The current password is wrong.")
    change_password(page, BOB["password"], NEW)
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    expect(page.get_by_text("You are signed in nowhere else.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.goto("/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page)
    expect(page.get_by_role("alert")).to_have_text("The e-mail or the password is wrong.")
    page.goto("/account/login")
    sign_in(page, NEW)
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()


@pytest.fixture
def neighbours() -> Iterator[tuple[str, ...]]:
    """A page of the same site, which gets the cookie sent, but has another origin."""
    with pages.served() as port:
        yield (f"http://127.0.0.1:{port}",)


def test_a_form_of_another_page_does_nothing(
    page: Page, server: Server, neighbours: tuple[str, ...]
) -> None:
    log_in_elsewhere(server)
    sign_in(page)
    page.goto(neighbours[0])
    target = f"http://127.0.0.1:{server.port}/account/sessions/end-others"
    with page.expect_navigation() as navigation:
        page.evaluate(
            "url => { const form = document.createElement('form'); form.method = 'post';"
            " form.action = url; document.body.append(form); form.submit(); }",
            target,
        )
    assert navigation.value.status == 403
    page.goto("/account")
    expect(page.get_by_role("button", name="Sign out Firefox on Windows")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(page: Page, server: Server, scheme: str) -> None:
    if not AXE.is_file():
        missing("tests/node/node_modules: npm ci --prefix tests/node")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size(PHONE)
    log_in_elsewhere(server)
    sign_in(page, "wrong")
    check(page)
    sign_in(page)
    check(page)
    change_password(page, "wrong", NEW)
    check(page)
    page.get_by_role("link", name="Back to your account").click()
    page.get_by_role("button", name="Sign out all other devices").click()
    check(page)
    page.set_viewport_size(ViewportSize(width=1280, height=800))
    check(page)


def check(page: Page) -> None:
    """What axe says of the page as it stands, and whether it fits its window."""
    page.wait_for_load_state()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations', 'passes']})")
    assert found["passes"]
    assert found["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") is True
