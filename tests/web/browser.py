"""A browser without scripts: it follows links, fills in forms as they stand in the page, and keeps cookies."""

import asyncio
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import httpx

from longshore.service import create_app
from longshore.web.app import create_pages
from longshore.web.front import Front
from longshore.web.session import OnePerson

HOST = "127.0.0.1:8443"
VOID = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "line", "polyline"}


class Form:
    def __init__(self, attributes):
        self.action, self.method = attributes.get("action"), attributes.get("method", "get")
        self.fields, self.names, self.buttons = [], set(), []


class Page(HTMLParser):
    """A page as a person sees it, and every element."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.status, self.source = answer, answer.status_code, answer.text
        self.url = str(answer.url)
        self.elements, self.forms, self.links, self.text = [], [], {}, ""
        self._form = self._select = self._link = None
        self._options = []
        self._lines = None  # of a text of several lines: its name
        self._silent = 0
        self.feed(answer.text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        attributes = {name: value if value is not None else "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "form":
            self._form = Form(attributes)
            self.forms.append(self._form)
        elif tag in ("script", "style", "title"):
            self._silent += 1
        elif tag == "a":
            self._link = attributes.get("href")
        elif tag == "input" and self._form:
            self._input(attributes)
        elif tag == "select" and self._form:
            self._select, self._options = attributes["name"], []
            self._form.names.add(self._select)
        elif tag == "textarea" and self._form and attributes.get("name"):
            self._lines = attributes["name"]
            self._form.names.add(self._lines)
            self._form.fields.append((self._lines, ""))
        elif tag == "option" and self._select:
            if not self._options or "selected" in attributes:  # the first one, unless another is chosen
                self._options = [attributes["value"]]
        elif tag == "button" and self._form and attributes.get("name"):
            self._form.buttons.append((attributes["name"], attributes["value"]))

    def _input(self, attributes):
        if not (name := attributes.get("name")):
            return
        self._form.names.add(name)
        if attributes.get("type") in ("checkbox", "radio") and "checked" not in attributes:
            return
        self._form.fields.append((name, attributes.get("value", "on")))

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = self._lines = None
        elif tag in ("script", "style", "title"):
            self._silent -= 1
        elif tag == "select" and self._select:
            self._form.fields += [(self._select, value) for value in self._options]
            self._select = None
        elif tag == "textarea":
            self._lines = None
        elif tag == "a":
            self._link = None

    def handle_data(self, data):
        if self._silent:
            return
        if self._lines is not None:
            self._form.fields[-1] = (self._lines, data)
            return
        self.text += data
        if self._link is not None and data.strip():
            self.links.setdefault(data.strip(), self._link)

    def form(self, action):
        found = [form for form in self.forms if form.action == action]
        assert found, f"no form to {action}; there are {[form.action for form in self.forms]}"
        return found[0]


class Browser:
    """A browser, by default of a server for one person."""

    def __init__(self, store, app=None, origin=f"http://{HOST}"):
        self.store = store
        self.person = OnePerson("longshore_8443")
        self.app = app or Front(create_pages(create_app(store, local_files=True), self.person), HOST)
        self.origin, self.address = origin, "127.0.0.1"
        self.cookies = httpx.Cookies()
        self.page = None

    def opened(self):
        assert self.get(self.person.link).status == 200
        return self

    def ask(self, method, path, *, follow=True, headers=None, **more):
        async def go():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self.address, 1))
            client = httpx.AsyncClient(
                transport=transport, base_url=self.origin, cookies=self.cookies, follow_redirects=follow
            )
            async with client:
                answer = await client.request(method, path, headers=headers, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(go())

    def get(self, path, **more):
        self.page = Page(self.ask("GET", path, **more))
        return self.page

    def click(self, text):
        """Click a link."""
        assert text in self.page.links, f"no link {text!r}; there are {list(self.page.links)}"
        return self.get(self.page.links[text])

    def submit(self, action, *, button=None, sent_to="", also=(), **fields):
        """The form that goes there, with what stands in it and what is filled in. `also`: ticks of that name.
        `sent_to`: the address that one of its buttons sends it to instead."""
        form = self.page.form(action)
        if sent_to:
            places = {of.get("formaction", "") for tag, of in self.page.elements if tag == "button"}
            assert sent_to in {place.partition("#")[0] for place in places}
        assert set(fields) <= form.names, f"{set(fields) - form.names} can't be filled in"
        sent = [(name, value) for name, value in form.fields if name not in fields]
        sent += [(name, value) for name, value in fields.items() if value is not None]
        sent += list(also) + ([button] if button else [])
        if form.method == "get":
            return self.get(f"{action}?{urlencode(sent)}")
        self.page = Page(
            self.ask(
                "POST",
                sent_to or action,
                content=urlencode(sent),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Origin": self.origin,
                    "Sec-Fetch-Site": "same-origin",
                },
            )
        )
        return self.page

    @property
    def path(self):
        return urlsplit(self.page.url).path
