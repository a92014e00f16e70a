"""Prompts that would be something else than words, wherever they are shown, in a real browser: nothing of them runs."""

from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, Page

from tests.outside.conftest import visiting_from_outside
from tests.visitor import printed
from worker.catalogue.address import Address, canonical_prompt

PROMPTS = [
    "<script>ran()</script>",
    '"><script>ran()</script>',
    "'><img src=x onerror=ran()>",
    "</title><svg onload=ran()>",
    "</textarea><svg/onload=ran()>",
    '" autofocus onfocus=ran() x="',
    "' onmouseover='ran()' style='position:fixed;inset:0",
    "javascript:ran()",
    "<a href=javascript:ran()>dog</a>",
    "</script><script>ran()</script>",
    "--><script>ran()</script><!--",
    "]]><script>ran()</script>",
    "{{ran()}} {% include 'x' %} ${ran()} #{ran()} <%= ran() %>",
    "&lt;script&gt;ran()&lt;/script&gt; &#x3c;img src=x onerror=ran()&#x3e;",
    "\\u003cscript\\u003eran()\\u003c/script\\u003e",
    "＜script＞ran()＜/script＞",
    "<iframe srcdoc='<script>parent.ran()</script>'>",
    "<style>@import'//127.0.0.1:1/x';</style><base href=//127.0.0.1:1/><meta http-equiv=refresh content=0;url=//x>",
]
FOREIGN = """() => {
    const runs = ({ name, value }) =>
        name.startsWith("on") || (["href", "src", "action"].includes(name) && /^\\s*javascript:/i.test(value));
    const strange = "script:not([src]):not([type='application/json']), style, iframe, base, meta[http-equiv]";
    return [...document.querySelectorAll("*")]
        .filter((element) => element.matches(strange) || [...element.attributes].some(runs))
        .map((element) => element.outerHTML);
}"""
"""What a page of ours never has: handlers, links that run, and elements that only somebody else would put there."""


def require_harmless(page: Page, site: str, path: str) -> None:
    page.goto(site + path)
    assert page.evaluate("window.didRun") is None, f"something ran at {path}"
    assert page.evaluate(FOREIGN) == [], path
    assert page.url.startswith(site), f"{path} leads to {page.url}"


@pytest.fixture(scope="module")
def kept(site: str) -> list[Address]:
    """A kept page of each prompt, the last ones on the wall."""
    addresses = [Address("tiny", "prompt", canonical_prompt(prompt), 1) for prompt in PROMPTS]
    for address in addresses:
        printed(site, address)
    return addresses


def test_nothing_of_a_prompt_runs_wherever_it_is_shown(
    outside_browser: Browser, site: str, kept: list[Address]
) -> None:
    with visiting_from_outside(outside_browser) as context:
        context.add_init_script("window.ran = () => { window.didRun = true; };")
        page = context.new_page()
        for address in kept:
            elsewhere = Address("tiny", "prompt", address.name, 2)  # not printed yet: it is while it is shown
            too_long = urlencode({"prompt": address.name + "x" * 2000})
            paths = [
                address.path(),
                elsewhere.path(),
                f"{address.path()[:-1]}.json",
                f"/nowhere{address.path().removeprefix('/tiny')}",
                f"/tiny/key/{quote(address.name, safe='')}/1/",
                f"/search/?{urlencode({'prompt': address.name})}",
                f"/search/?{too_long}",
                f"/search/?{urlencode({'prompt': 'a dog', 'edition': address.name})}",
            ]
            for path in paths:
                require_harmless(page, site, path)
            page.goto(f"{site}/key/")
            page.locator("textarea[name=prompt]").fill(address.name)
            page.locator("form:has(textarea[name=prompt]) button").first.click()
            page.wait_for_load_state()
            assert page.evaluate("window.didRun") is None
            assert page.evaluate(FOREIGN) == [], "the key that was pasted"
        require_harmless(page, site, "/")
        page.locator("body").press("Tab")
        assert page.evaluate("window.didRun") is None
