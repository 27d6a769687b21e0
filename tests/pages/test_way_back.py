"""How a real browser reads the ways back that are let through."""

from itertools import product

from playwright.sync_api import Browser

from lastcall.local import local_path
from tests.support.elsewhere import ELSEWHERE

PARTS = (
    "/", "\\", ".", "..", ":", "@", "?", "#", ";", "%09", "%2f", "%5c", "%2e", "\t", " ", "\u2028",
    "https:", "javascript:", "evil.example",
)  # fmt: skip
RESOLVE = """texts => texts.map(text => {
  try { return new URL(text, "https://own.example/sign-in").origin } catch { return "none" }
})"""


def test_chromium_takes_every_way_back_that_is_let_through_for_one_on_the_same_origin(
    browser: Browser,
) -> None:
    """All texts of up to four of these parts; what is refused is not looked at."""
    every = ("".join(parts) for count in range(1, 5) for parts in product(PARTS, repeat=count))
    kept = sorted({back for text in every if (back := local_path(text, "")) != ""})
    assert len(kept) > 1000
    page = browser.new_page()
    assert set(page.evaluate(RESOLVE, kept)) == {"https://own.example"}
    # The browser does take some of what is refused for another origin.
    assert "https://evil.example" in page.evaluate(RESOLVE, ELSEWHERE)
    page.close()
