"""Logging in to a server's pages with a real browser: its cookies, its policy, its idea of where forms are from."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from many import Many
from test_in_chromium import SHELL, SIZES, Looking, chromium  # noqa: F401 a fixture

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not SHELL.exists(), reason="needs Debian's chromium-headless-shell"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class LogIn:
    """Where a tab begins."""

    link = "/ui/plans"


@contextmanager
def serving(many):
    """The address of a server over the same database."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = Many(many.store, many.keystone, address).app
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


def test_somebody_logs_in_changes_project_and_language_and_leaves(many_filled, chromium):  # noqa: F811
    with serving(many_filled) as address:
        width, height = SIZES["narrow"]
        tab = Looking(chromium, address, LogIn(), viewport={"width": width, "height": height}, locale="en-GB")
        page = tab.page
        page.set_default_timeout(60_000)
        assert "/ui/login?" in page.url
        assert tab.findings(RULES) == []
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("ann's secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/project?**")
        assert tab.findings(RULES) == []
        page.get_by_role("button", name="red").click()
        page.wait_for_url(f"{address}/ui/plans")
        page.get_by_role("link", name="shop", exact=True).click()
        page.get_by_text("app01").first.wait_for()
        page.get_by_label("Language").select_option("de")
        page.get_by_role("link", name="Prüfen und starten …").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.get_by_role("link", name="red").click()
        page.get_by_role("button", name="blue").click()
        page.wait_for_url(f"{address}/ui/")
        page.get_by_role("button", name="Abmelden").click()
        page.get_by_text("Sie haben sich abgemeldet.").wait_for()
        page.goto(f"{address}/ui/plans")
        assert "/ui/login?" in page.url
        assert tab.wrong == []
        tab.context.close()
