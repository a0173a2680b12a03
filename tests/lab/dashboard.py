"""Horizon in the lab, with longshore-dashboard installed as a package, and looked at with Debian's Chromium."""

import subprocess
import sys
from contextlib import contextmanager

from lanes import PROJECT

sys.path.append(str(PROJECT / "tests" / "web"))

from looking import ALL_RULES, AXE

DASHBOARD = PROJECT / "lab" / "dashboard"
URL = "http://127.0.0.1:8080"
PICTURES = PROJECT / "build" / "screenshots"
SLIDES = 500  # milliseconds: a theme's menu, in or out when the width has changed
THEMES = ("default", "material")
PATIENCE = 240_000  # milliseconds: where several work, a page may be long in coming
WIDTHS = {"": 1440, "-narrow": 390}  # pixels: of a desk's screen, and of a phone's
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def horizon(directory, *keystone):
    """It answers at `URL`, while the context is open, and has the package that is built from this clone. `keystone`:
    another one's address than the lab's."""
    subprocess.run([PROJECT / "horizon" / "deb", directory], check=True, capture_output=True)
    (package,) = directory.glob("*.deb")
    subprocess.run([DASHBOARD / "up", package, *keystone], check=True, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([DASHBOARD / "down"], check=True)


class Tab:
    """A tab of a browser of somebody's own. `wrong`: whatever it complains of, or fetches from elsewhere."""

    def __init__(self, browser, theme="default"):
        self.theme = theme
        self.context = browser.new_context(viewport={"width": WIDTHS[""], "height": 900}, locale="en-GB")
        self.context.add_cookies([{"name": "theme", "value": theme, "url": URL}])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.wrong = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._foreign)

    def _said(self, message):
        # Debian's Horizon lacks the material theme's fonts
        if message.type == "error" and "/roboto_fontface/" not in message.location["url"]:
            self.wrong.append(f"{message.text} {message.location['url']}")

    def _foreign(self, request):
        if not request.url.startswith((URL, "data:")):
            self.wrong.append(f"asked {request.url}")

    def log_in(self, user, password, to="/project/api_access/"):
        self.page.goto(f"{URL}/auth/login/?next={to}")
        self.say_who(user, password)
        self.page.wait_for_url(f"{URL}{to}")

    def say_who(self, user, password):
        """Fill in the form to log in, which is shown."""
        self.page.get_by_label("User Name").fill(user)
        self.page.locator("#id_password").fill(password)
        self.page.get_by_role("button", name="Sign In").click()

    def go(self, path):
        self.page.goto(f"{URL}{path}")
        return self.page

    @property
    def panels(self):
        """Return Longshore's panels in the menu."""
        menu = self.page.locator("#sidebar-accordion a, .nav a")
        links = menu.evaluate_all("found => found.map(one => one.getAttribute('href') || '')")
        return {link for link in links if link.startswith(("/project/migration_", "/admin/migration_"))}

    def findings(self):
        """Return what axe finds in our part of the page."""
        self.page.evaluate(AXE)
        found = self.page.evaluate(f"axe.run('#longshore', {{runOnly: {ALL_RULES}}})")
        return [
            (one["id"], [node["html"][:200] + " " + node["failureSummary"][:300] for node in one["nodes"][:3]])
            for one in found["violations"]
        ]

    def picture(self, name):
        """Take a picture on each kind of screen; says for which of them the page is too wide."""
        directory = PICTURES / f"horizon-{self.theme}"
        directory.mkdir(parents=True, exist_ok=True)
        wide = []
        for kind, width in WIDTHS.items():
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.wait_for_timeout(SLIDES)
            self.page.evaluate("window.scrollTo(0, 0)")  # Horizon's bar stays where one looks
            self.page.screenshot(path=directory / f"{name}{kind}.png", full_page=True)
            if over := self.page.evaluate(TOO_WIDE):
                wide.append(f"{over} pixels too wide at {width}")
        self.page.set_viewport_size({"width": WIDTHS[""], "height": 900})
        return wide
