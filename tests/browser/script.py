"""What the script of a page can do and see."""

from typing import Any

from playwright.sync_api import BrowserContext, Page

from keyturn.http.cookies import REFRESH_TOKEN
from tests.support.api import BOB

SEND = """async ([url, options]) => {
    try {
        const answer = await fetch(url, {method: "POST", credentials: "include", ...options});
        const text = await answer.text();
        return {status: answer.status, type: answer.type, json: text ? JSON.parse(text) : null,
                headers: Object.fromEntries(answer.headers), seen: document.cookie};
    } catch (error) {
        return {failed: error.name};
    }
}"""

SUBMIT = """(action) => {
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action});
    document.body.append(form);
    form.submit();
}"""


def send(page: Page, url: str, json: Any = None, **options: Any) -> dict[str, Any]:
    """Send a request, a POST unless told, and return all that the page sees of the answer."""
    if json is not None:
        options["body"] = page.evaluate("JSON.stringify", json)
        options["headers"] = {"Content-Type": "application/json"}
    return dict(page.evaluate(SEND, [url, options]))


def log_in(page: Page, base: str = "") -> str:
    """Log Bob in and return his access token, which is all the page gets."""
    answer = send(page, f"{base}/auth/login", {**BOB, "transport": "cookie"})
    assert answer["status"] == 200, answer
    assert "refreshToken" not in answer["json"]
    assert answer["seen"] == ""
    return str(answer["json"]["accessToken"])


def cookie(context: BrowserContext) -> str | None:
    """What the browser keeps, and no page can see."""
    kept = [one for one in context.cookies() if one["name"] == REFRESH_TOKEN.name]
    for one in kept:
        assert (one["path"], one["httpOnly"], one["secure"]) == ("/auth", True, True)
        assert one["sameSite"] == "Strict"
    return kept[0]["value"] if kept else None
