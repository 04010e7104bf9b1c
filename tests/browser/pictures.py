"""Takes the pictures that the documentation shows. `make pictures` runs it; no test does."""

from playwright.sync_api import Locator, Page, ViewportSize

from tests.browser.swagger import Docs
from tests.support.server import ROOT

PICTURES = ROOT / "docs" / "pictures"
WIDTH = 1000


def take(page: Page, name: str, *, down_to: Locator) -> None:
    """Keep a picture of a page from its top to the end of one element."""
    page.evaluate("scrollTo(0, 0)")
    box = down_to.bounding_box()
    assert box is not None
    end = box["y"] + box["height"] + 20
    page.screenshot(
        path=PICTURES / f"{name}.png",
        animations="disabled",
        full_page=True,
        clip={"x": 0, "y": 0, "width": WIDTH, "height": end},
    )


def test_picture_of_docs(page: Page) -> None:
    page.set_viewport_size(ViewportSize(width=WIDTH, height=800))
    docs = Docs(page)
    docs.authorize(docs.execute(docs.open("auth", "logIn"))["accessToken"])
    page.locator("#operations-tag-auth").click()
    me = docs.open("users", "me")
    docs.execute(me)
    take(page, "docs", down_to=me.locator(".live-responses-table pre").first)
