"""What one does on /docs, in the words of its user."""

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect


class Docs:
    """The page, opened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.goto("/docs")

    def open(self, group: str, name: str) -> Locator:
        """Unfold an operation."""
        operation = self.page.locator(f"#operations-{group}-{name}")
        operation.locator(".opblock-summary-control").click()
        return operation

    def execute(self, operation: Locator) -> Any:
        """Send the request of an operation, which must work; return the JSON that came back."""
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table .response").first
        expect(answer.locator(".response-col_status")).to_contain_text("200")
        return json.loads(answer.locator("pre").first.inner_text())

    def authorize(self, access_token: str) -> None:
        """Paste a token into the dialog."""
        self.page.locator(".auth-wrapper").get_by_role("button", name="Authorize").click()
        dialog = self.page.locator(".dialog-ux")
        bearer = dialog.locator(".auth-container").filter(has_text="bearer (http, Bearer)")
        bearer.get_by_role("textbox").fill(access_token)
        bearer.get_by_role("button", name="Apply credentials").click()
        dialog.get_by_role("button", name="Close").first.click()
