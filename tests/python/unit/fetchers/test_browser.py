"""Pages that JavaScript writes; skipped where there is no browser."""

from __future__ import annotations

import builtins
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyFetchError
from proxywhirl.browser import BrowserRenderer
from proxywhirl.fetchers import ProxyFetcher, RenderMode

PAGE = """<!doctype html><html><body><table id="t"><thead><tr><th>IP</th><th>Port</th></tr></thead></table><script>
setTimeout(() => {
  const row = document.getElementById("t").insertRow();
  row.insertCell().textContent = "1.1.1.1";
  row.insertCell().textContent = "8080";
  row.id = "done";
}, 50);
</script></body></html>"""

browser = pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or shutil.which("chromium") is None,
    reason="needs Playwright and Chromium",
)


@browser
async def test_scripts_have_run(web: Any) -> None:
    web.text("/page", PAGE, Content_Type="text/html")
    async with BrowserRenderer(max_contexts=1) as renderer:
        html = await renderer.render(web.url("/page"), wait_for_selector="#done", wait_for_timeout=5000)
        assert "<td>8080</td>" in html
        await renderer.render(web.url("/page"))
        assert (renderer.pool_size, renderer.pool_capacity) == (1, 1)


@browser
async def test_failures_tell_why(web: Any, tmp_path: Path) -> None:
    web.text("/page", PAGE, Content_Type="text/html")
    async with BrowserRenderer(screenshots=tmp_path) as renderer:
        with pytest.raises(ProxyFetchError, match="Timeout"):
            await renderer.render(web.url("/page"), wait_for_selector="#never", wait_for_timeout=100)
        web.text("/missing", "not here", status=404)
        with pytest.raises(ProxyFetchError, match="the server answers 404"):
            await renderer.render(web.url("/missing"))
    assert [name[-4:] for name in os.listdir(tmp_path)] == [".png"]


@browser
async def test_secrets_go_to_the_server_of_the_page_only(web: Any) -> None:
    other = web.url("/script.js").replace("127.0.0.1", "localhost")
    web.text("/script.js", "", Content_Type="text/javascript")
    web.text("/page", f'<!doctype html><script src="{other}"></script>', Content_Type="text/html")
    async with BrowserRenderer(max_contexts=1) as renderer:
        # Chromium asks the user before a page from elsewhere reaches this machine.
        context = await renderer.acquire_context()
        await context.grant_permissions(["local-network-access"])
        await renderer.release_context(context)
        await renderer.render(web.url("/page"), headers={"X-Key": "k"}, auth=("user", "pass"))
    sent = {path: headers for path, headers in web.asked if path != "/favicon.ico"}
    assert (sent["/page"]["x-key"], sent["/page"]["authorization"]) == ("k", "Basic dXNlcjpwYXNz")
    assert not {"x-key", "authorization"} & set(sent["/script.js"])


@browser
@pytest.mark.parametrize("mode", [RenderMode.JAVASCRIPT, RenderMode.AUTO])
async def test_the_fetcher_uses_it(web: Any, mode: RenderMode) -> None:
    web.text("/page", PAGE, Content_Type="text/html")
    source = {"url": web.url("/page"), "render_mode": mode, "wait_selector": "#done"}
    assert [entry["url"] for entry in await ProxyFetcher().fetch_from_source(source)] == ["http://1.1.1.1:8080"]


async def test_not_started() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        await BrowserRenderer().acquire_context()


async def test_without_playwright_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, web: Any) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("playwright"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"proxywhirl-rs\[js\]"):
        await BrowserRenderer().start()
    web.text("/page", PAGE)
    source = {"url": web.url("/page"), "render_mode": "javascript"}
    with pytest.raises(ProxyFetchError, match=r"proxywhirl-rs\[js\]"):
        await ProxyFetcher().fetch_from_source(source)


def test_bad_arguments() -> None:
    for arguments in ({"browser_type": "lynx"}, {"wait_until": "later"}, {"max_contexts": 0}, {"timeout": 0}):
        with pytest.raises(ValueError):
            BrowserRenderer(**arguments)
    assert BrowserRenderer(viewport=(800, 600)).viewport == {"width": 800, "height": 600}
