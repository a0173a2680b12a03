"""Pages of a server, with a Keystone of a few people: who may open them is asked of it, as in life."""

from urllib.parse import quote

from browser import Browser

from longshore.configuration import Keystone, ServiceSettings, WebSettings
from longshore.processes.apart import Apart
from longshore.providers.grounds import CloudGround, Grounds
from longshore.service import create_app
from longshore.service.caller import Access
from longshore.service.keystone import KeystoneTokens
from longshore.service.policy import OsloPolicy
from longshore.service.sessions import ServiceSessions
from longshore.store import Scope
from longshore.web.many import with_pages

ORIGIN = "https://cloud.example:9797"
COOKIE = "__Host-longshore"


def settings_for(keystone, url=ORIGIN, sso=(), public_url=None):
    asked = Keystone(auth_url=f"{keystone.url}/v3", password="service", public_url=public_url)
    return ServiceSettings(public_url=url, keystone=asked, web=WebSettings(sso=list(sso)))


class Many:
    """`app`: API and pages. `lately`: another server of the same database."""

    def __init__(self, store, keystone, url=ORIGIN, vault_endpoints=(), **more):
        self.store, self.keystone, self.url = store, keystone, url
        settings = settings_for(keystone, url, **more)
        grounds = Grounds({settings.keystone.auth_url: CloudGround(None, None)}, vault_endpoints=tuple(vault_endpoints))
        access = Access(KeystoneTokens(settings.keystone.options()), OsloPolicy(), grounds)
        self.sessions = ServiceSessions(store, settings)
        self.app = with_pages(create_app(store, access=access), self.sessions, settings, Apart())

    def browser(self):
        return Browser(self.store, self.app, self.url)

    def logged_in(self, user, project=None):
        """A browser whose owner has done so, and is in that project."""
        browser = self.browser()
        log_in(browser, user, self.keystone.users[user][0], to="/ui/project")
        if project is not None and browser.path == "/ui/project":
            choose(browser, project)
        assert browser.page.status == 200, browser.page.text
        return browser

    def of(self, project):
        """Return the store as a project sees it."""
        return self.store.scoped(Scope(f"id-{project}"))


def log_in(browser, user, password, domain="Default", to=""):
    browser.get(f"/ui/login?to={quote(to)}" if to else "/ui/login")
    return browser.submit("/ui/login", domain=domain, user=user, password=password)


def choose(browser, project):
    """Choose a project by the form that has it in it."""
    page = browser.get("/ui/project")
    forms = [form for form in page.forms if ("project", f"id-{project}") in form.fields]
    assert forms, f"{project} isn't offered: {page.text}"
    page.forms = forms
    return browser.submit("/ui/project")
