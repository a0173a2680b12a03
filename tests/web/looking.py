"""A real browser (Debian's Chromium without a window), and tabs that note whatever isn't as it should be."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from longshore.service import create_app
from longshore.web.alone import _listen
from longshore.web.app import create_pages
from longshore.web.front import Front
from longshore.web.session import OnePerson

SHELL = Path("/usr/bin/chromium-headless-shell")
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
# Milliseconds, within which what is meant has come on a busy machine, too: where nothing is wrong nobody waits so long
SOON = 60_000
expect.set_options(timeout=SOON)
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not SHELL.exists(), reason="needs Debian's chromium-headless-shell"),
]
AXE = (Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text()
# Pixels; the narrowest is what is left of 1,280 of them at 400 %
SIZES = {"wide": (1440, 900), "narrow": (390, 844), "narrowest": (320, 640)}
LAPTOPS = (1366, 1280, 1180, 1024)  # in which tables have the least room for their columns
ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Only what is told comes out of the browser: all that axe says is far more than the page
FINDINGS = """async ([within, rules]) => {
  const { violations } = await axe.run(within, { runOnly: rules, resultTypes: ["violations"] });
  const told = ({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary.slice(0, 200)}`;
  return violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(told)]);
}"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# In one question: to ask takes longer than most answers, and locators put a script of playwright's into each page
WRONG = f"""async rules => {{
  for (const one of document.querySelectorAll("details")) one.open = true;
  const wider = within => [...document.querySelectorAll(within)].filter(one => one.scrollWidth > one.clientWidth + 1);
  const over = {TOO_WIDE};
  const text = "main :is(button, a[class], dt, dd, h1, h2, h3, label, legend, .pf-v6-c-label__text)";
  return [
    ...(rules.length ? await ({FINDINGS})(["html", rules]) : []),
    ...(over > 0 ? [`${{over}} pixels too wide`] : []),
    ...wider(text).map(one => `${{one.innerText}} spills over`),
    ...wider(".ls-scroll").map(one => `${{one.ariaLabel}} is cut off`),
  ];
}}"""
# Whether all that the page asks for by itself has come
SETTLED = """async () => {
  const end = performance.now() + 60_000, waits = () => document.querySelector('[hx-trigger="load"]') !== null;
  while (waits() && performance.now() < end) await new Promise(go_on => setTimeout(go_on, 10));
  return !waits();
}"""
# Pages are left before it would pay to compile their scripts well
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--js-flags=--no-maglev --no-turbofan"]


@contextmanager
def listening_at(make, port=0):
    """The address of an application that `make` makes for its port."""
    listening = _listen(port)
    own = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make(own), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(store):
    """The address of pages over this store, and who may open them."""
    persons = []

    def make(port):
        persons.append(OnePerson(f"longshore_{port}"))
        pages = create_pages(create_app(store, local_files=True), persons[0])
        return Front(pages, f"127.0.0.1:{port}")

    with listening_at(make) as address:
        yield address, persons[0]


@contextmanager
def launched():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(SHELL), args=FLAGS)
        yield browser
        browser.close()


class Looking:
    """A tab that has opened the pages, and notes what they ask elsewhere, what is refused, and what is said on the
    console: that is also where a browser says what the content security policy has stopped."""

    def __init__(self, chromium, address, link, **how):
        self.address = address
        self.context = chromium.new_context(**how)
        self.context.set_default_timeout(SOON)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._foreign)
        self.page.on(
            "response", lambda got: self.wrong.append(f"{got.status} {got.url}") if got.status >= 400 else None
        )
        self.page.goto(address + link)

    def _foreign(self, request):
        if not request.url.startswith((self.address, "data:")):
            self.wrong.append(f"asked {request.url}")

    def close(self):
        self.context.close()
        assert self.wrong == [], self.wrong

    def open(self, path):
        """And what the page asks for by itself as soon as it is there."""
        self.page.goto(self.address + path)
        assert self.page.evaluate(SETTLED), f"{path} waits for what it has asked for"

    def look(self, theme, width):
        """Look in a theme and a width from now on, without loading the page anew."""
        across, down = SIZES[width]
        self.page.emulate_media(color_scheme=theme)
        self.page.locator("html.pf-v6-theme-dark").wait_for(state="attached" if theme == "dark" else "detached")
        self.page.set_viewport_size({"width": across, "height": down})

    def cut_off(self, widths=LAPTOPS):
        """Return what is wrong with the page, but for axe's findings, by each of these widths in which something is."""
        found = {}
        for across in widths:
            self.page.set_viewport_size({"width": across, "height": 768})
            if wrong := self.wrong_with_page([]):
                found[across] = wrong
        return found

    def findings(self, rules, within="html"):
        """Return what axe finds in an element against these of its rules and groups of rules."""
        self._have_axe()
        return [tuple(one) for one in self.page.evaluate(FINDINGS, [within, rules])]

    def wrong_with_page(self, rules):
        """Return what axe finds; texts that are wider than the button, fact, heading or label that they are in; tables,
        and charts, of which one would have to scroll sideways for a part; and the page itself, if it is so. All that
        can be opened there is opened first."""
        if rules:
            self._have_axe()
        return self.page.evaluate(WRONG, rules)

    def too_wide(self):
        """Pixels that one would have to scroll sideways for."""
        return self.page.evaluate(TOO_WIDE)

    def _have_axe(self):
        """It isn't a part of the page, so its policy says nothing."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
