"""What one does on /account, in the words of its user."""

from playwright.sync_api import Page

from tests.support.api import BOB


def sign_in(page: Page, password: str = BOB["password"]) -> None:
    page.goto("/account")
    page.get_by_label("E-mail").fill(BOB["email"])
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def change_password(page: Page, current: str, new: str) -> None:
    page.goto("/account/password")
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Change password").click()
