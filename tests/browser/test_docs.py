"""/docs in a real browser: a click through what a newcomer does there."""

from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.swagger import Docs
from tests.support.api import BOB

PHONE = ViewportSize(width=390, height=844)


def test_one_logs_in_authorizes_and_asks_who_one_is_even_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    docs = Docs(page)
    login = docs.open("auth", "logIn")  # its example is a demo user: there is nothing to type
    docs.authorize(docs.execute(login)["accessToken"])
    me = docs.execute(docs.open("users", "me"))
    assert (me["name"], me["email"]) == ("Bob", BOB["email"])
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_page_shows_every_group_of_routes_in_the_colours_one_likes(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    Docs(page)
    for group in ("auth", "users", "health", "docs"):
        expect(page.locator(f"#operations-tag-{group}")).to_be_visible()
    expect(page.locator("html")).to_have_class("dark-mode")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")
