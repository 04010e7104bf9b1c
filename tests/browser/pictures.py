"""Takes the pictures that the documentation shows. `make pictures` runs it; no test does."""

from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, ViewportSize

from tests.browser.account import sign_in
from tests.browser.swagger import Docs
from tests.support.api import BOB
from tests.support.server import ROOT, Server

PICTURES = ROOT / "docs" / "pictures"
WIDTH = 1000
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"
LAPTOP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7; rv:140.0) Gecko/20100101 Firefox/140.0"


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("phone", 390), ("desktop", 1000)])
def test_picture_of_account(
    page: Page, server: Server, scheme: Literal["light", "dark"], device: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(ViewportSize(width=width, height=720))
    for user_agent in (PHONE, LAPTOP):
        server.request("POST", "/auth/login", BOB, {"User-Agent": user_agent})
    sign_in(page)
    page.screenshot(path=PICTURES / f"account-{device}-{scheme}.png", full_page=True)
