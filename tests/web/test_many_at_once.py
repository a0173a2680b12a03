"""What one project sends to the pages, or has them show, keeps no other waiting."""

import asyncio
import re
import threading
from types import SimpleNamespace

import pytest
from starlette.responses import Response
from tokens import access

from longshore.errors import InvalidInput
from longshore.processes.apart import Apart
from longshore.service import create_app, turns
from longshore.service.turns import OF_PAGES, turns_of_pages
from longshore.store import StateDirectory, Store
from longshore.web import forms
from longshore.web.app import SUBJECTS, create_pages
from longshore.web.inside import Inside
from longshore.web.later import DeferredText
from longshore.web.page import OF_MANY, USUAL

FORMS = [page for module in SUBJECTS for page in module.ROUTES if page.method == "POST"]


@pytest.fixture
def pages(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield create_pages(create_app(store, access=access()), Inside())
    store.close()


def send(pages, page, token, form, pause=0.0):
    """Status, text, and how many pieces of the form were read; it comes in two halves."""
    path = f"/ui{re.sub(r'{[^}]*}', 'x', page.path)}"
    pieces, sent = [form[: len(form) // 2], form[len(form) // 2 :]], []
    left = list(pieces)

    async def receive():
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def answer(message):
        sent.append(message)

    headers = [(b"x-auth-token", token.encode()), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("here", 80), "scheme": "http"}
    asyncio.run(pages(scope | {"root_path": "", "http_version": "1.1"}, receive, answer))
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return sent[0]["status"], text, len(pieces) - len(left)


@pytest.mark.long
def test_no_form_is_read_of_whoever_may_not_send_it(pages):
    walked = [page for page in FORMS if page.rule]
    assert len(walked) > 30
    for page in walked:
        status, _text, pieces = send(pages, page, "ann-nothing", b"x" * 1000)
        assert (status, pieces) == (403, 0), page.path


def test_each_form_has_room_for_what_it_asks(pages):
    assert {page.path for page in FORMS if page.largest == OF_MANY} == {
        *("/new-plan", "/plans/{name}/mappings", "/plans/{name}/yaml", "/replicas/new", "/replicas/new-group"),
        *("/replicas/groups/{group}/edit", "/backups/new-policy", "/backups/policies/{policy}/edit"),
        *("/backups/new-policy/preview", "/backups/policies/{policy}/edit/preview"),
    }
    for page in FORMS[:5]:
        assert page.largest == USUAL
        status, text, _pieces = send(pages, page, "ann", b"x" * (USUAL + 1))
        assert status == 400
        assert f"The form is larger than {USUAL} bytes." in text


def test_a_form_that_trickles_is_ended(pages, monkeypatch):
    monkeypatch.setattr(forms, "_WITHIN", 0.1)
    status, text, pieces = send(pages, FORMS[0], "ann", b"form", pause=1.0)
    assert (status, pieces) == (400, 0)
    assert "The form wasn&#39;t there within" in text


def test_a_large_form_is_taken_apart_in_a_thread(monkeypatch):
    threads, real = [], forms.parse_qsl

    def looked_at(*args, **named):
        threads.append(threading.current_thread())
        return real(*args, **named)

    monkeypatch.setattr(forms, "parse_qsl", looked_at)
    body = b"&".join(b"machine=vm-%d" % n for n in range(5000))

    async def stream():
        yield body

    apart = Apart()
    apart.works |= forms.WORKS
    asked = SimpleNamespace(
        headers={"content-type": "application/x-www-form-urlencoded"},
        stream=stream,
        state=SimpleNamespace(visit=SimpleNamespace(project_id="shop")),
        app=SimpleNamespace(state=SimpleNamespace(apart=apart, reading=turns.turns_of_reading())),
    )
    form = asyncio.run(forms.read_form(asked, None, OF_MANY))
    assert len(form.all("machine")) == 5000
    assert threads[0] is not threading.main_thread()
    with pytest.raises(InvalidInput):
        asyncio.run(forms.read_form(asked, None))


def test_pages_of_one_project_that_take_long_keep_no_others_waiting():
    going_on, at_work, most, lock = threading.Event(), [0], [0], threading.Lock()

    def slow():
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        going_on.wait(20)
        with lock:
            at_work[0] -= 1
        return "slow"

    async def go():
        app = SimpleNamespace(state=SimpleNamespace(rendering=turns_of_pages()))

        async def shown(project, make):
            sent = []

            async def send(message):
                sent.append(message)

            scope = {"type": "http", "app": app, "state": {"visit": SimpleNamespace(project_id=project)}}
            await DeferredText(make, "text/html")(scope, None, send)
            return sent[1]["body"].decode(), dict(sent[0]["headers"])[b"content-length"]

        many = [asyncio.create_task(shown("loud", slow)) for _ in range(20)]
        quiet = [asyncio.create_task(shown("quiet", lambda: "quick")) for _ in range(3)]
        assert await asyncio.wait_for(asyncio.gather(*quiet), 10) == [("quick", b"5")] * 3
        assert not any(one.done() for one in many)
        async with asyncio.timeout(10):  # a thread may be long in beginning where the processors are busy
            while most[0] < OF_PAGES:
                await asyncio.sleep(0.01)
        going_on.set()
        assert await asyncio.gather(*many) == [("slow", b"4")] * 20

    asyncio.run(go())
    assert most[0] == OF_PAGES


def test_whose_turn_doesnt_come_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    going_on = threading.Event()

    async def go():
        app = SimpleNamespace(state=SimpleNamespace(rendering=turns.turns_of_pages()))
        scope = {"type": "http", "app": app, "state": {}, "client": ("192.0.2.1", 1)}

        async def shown(make):
            sent = []

            async def send(message):
                sent.append(message)

            await DeferredText(make, "text/html")(scope, None, send)
            return sent[0]["status"], dict(sent[0]["headers"]).get(b"retry-after")

        slow = [asyncio.create_task(shown(lambda: str(going_on.wait(20)))) for _ in range(OF_PAGES)]
        await asyncio.sleep(0.05)
        assert await shown(str) == (429, b"5")
        going_on.set()
        assert await asyncio.gather(*slow) == [(200, None)] * OF_PAGES

    asyncio.run(go())


def test_what_is_put_together_later_is_an_answer_as_any_other():
    made = DeferredText(lambda: "ä", "text/csv; charset=utf-8", 201, {"X-Kept": "yes"})
    made.set_cookie("theme", "dark")
    plain = Response("ä", 201, {"X-Kept": "yes"}, "text/csv; charset=utf-8")
    plain.set_cookie("theme", "dark")
    assert "content-length" not in made.headers
    assert {**made.headers, "content-length": "2"} == dict(plain.headers)
