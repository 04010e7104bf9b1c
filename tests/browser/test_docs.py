"""/docs in a real browser."""

from playwright.sync_api import Page, expect


def test_the_page_shows_every_group_of_routes_and_asks_nobody_else(page: Page) -> None:
    page.goto("/docs")
    for group in ("auth", "users", "health"):
        expect(page.locator(f"#operations-tag-{group}")).to_be_visible()
