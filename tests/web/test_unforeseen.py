"""What nobody foresaw: the viewer gets a plain page with a reference, and the log says more of that."""

import re

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

REFERENCE = re.compile(r"req-[0-9a-f-]{36}")


def broken(*_how, **_more):
    raise RuntimeError("with a s3cret-word in it")


@pytest.mark.parametrize(
    "place",
    [
        "longshore.store.providers.Providers.all",
        "longshore.web.pages.providers.render",
        "longshore.web.pages.providers._where",
    ],
)
def test_one_person_is_told_where_to_look(browser, monkeypatch, caplog, place):
    """In the service, in a page's own work, and while its template is filled in."""
    browser.store.providers.add("vc", "vsphere", {"host": "vc.example"}, {"password": "x"})
    monkeypatch.setattr(place, broken)
    for language, said in (("en", "The terminal where the pages were started"), ("de", "Das Terminal, in dem")):
        caplog.clear()
        page = browser.get("/ui/providers", headers={"Accept-Language": language})
        assert page.status == 500
        assert said in page.text
        assert "s3cret-word" not in page.source
        (reference,) = REFERENCE.findall(page.text)
        (told,) = [one for one in caplog.records if one.name == "longshore.web"]
        assert reference in told.getMessage()
        assert "RuntimeError" in told.exc_text


def test_a_project_is_told_the_reference_of_the_servers_log(many, monkeypatch):
    browser = many.logged_in("ann", "red")
    monkeypatch.setattr("longshore.store.providers.Providers.all", broken)
    with capture_logs([merge_contextvars]) as logs:
        page = browser.get("/ui/providers")
    assert (page.status, "fault of the server's" in page.text) == (500, True)
    assert [one["request_id"] for one in logs if one["event"] == "unforeseen"] == REFERENCE.findall(page.text)
    assert "s3cret-word" not in page.source


def test_a_servers_log_has_what_fails_in_its_pages(many, monkeypatch, caplog):
    browser = many.logged_in("ann", "red")
    monkeypatch.setattr("longshore.web.pages.providers._where", broken)
    page = browser.get("/ui/providers")
    (reference,) = REFERENCE.findall(page.text)
    assert (page.status, "The server's log says more of" in page.text) == (500, True)
    assert [reference in one.getMessage() for one in caplog.records if one.name == "longshore.web"] == [True]


def test_one_vault_that_fails_takes_no_other_with_it(filled, monkeypatch, caplog):
    monkeypatch.setattr("longshore.service.vault_contents.points", broken)
    monkeypatch.setattr("longshore.service.vault_contents.read_points", broken)
    page = filled.get("/ui/backups")
    assert (page.status, "nightly" in page.text) == (200, True)
    assert "Something failed that nobody foresaw" in page.text
    assert any("RuntimeError" in one.exc_text for one in caplog.records if one.name == "longshore.web")
