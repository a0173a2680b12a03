"""A project's networks and groups are written to files, compared and brought into another, by links and forms alone."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tenancy"))

from resource_files import Files, network
from small_cloud import SmallCloud

AT = "/ui/providers/there/tenant"


@pytest.fixture
def small(fleet):
    """A cloud of its own, that the browser's store knows as there."""
    with SmallCloud() as cloud:
        auth = {"auth_url": f"{cloud.url}/v3", "username": "user-of-here", "project_name": "here"}
        auth |= {"user_domain_id": "default", "project_domain_id": "default"}
        settings = {"auth": auth, "auth_type": "v3password", "region": "R"}
        fleet.store.providers.add("there", "openstack", settings, {"password": "x"})
        yield cloud


def finished(browser):
    """The page of the job that was begun, when that has ended."""
    until = time.monotonic() + 60
    while "data-refresh" in browser.page.source:
        assert time.monotonic() < until, browser.page.text
        time.sleep(0.1)
        browser.get(browser.page.url)
    return browser.page


def test_files_are_compared_brought_in_and_written_again(fleet, small, tmp_path):
    (tmp_path / "files").mkdir()
    files = Files(tmp_path / "files")
    files.write("networks.yml", network("front"), network("back"))
    fleet.get("/ui/providers/there")
    fleet.click("Project as files …")
    fleet.submit(AT, directory=str(files.path), also=[("kind", "networks")], button=("do", "compare"))
    page = finished(fleet)
    assert ("front" in page.text, "back" in page.text) == (True, True), page.text
    assert small.made() == 0, "nothing was changed yet"
    fleet.submit(AT)
    finished(fleet)
    assert {thing["name"] for thing in small.things["networks"].values()} >= {"front", "back"}
    fleet.get(AT)
    fleet.submit(AT, directory=str(files.path), also=[("kind", "networks")], button=("do", "compare"))
    assert "Nothing has to be changed" in finished(fleet).text
    fleet.get(AT)
    fleet.submit(AT, directory=str(tmp_path / "written"), also=[("kind", "networks")], button=("do", "export"))
    assert "networks.yml" in finished(fleet).text
    assert "front" in (tmp_path / "written" / "networks.yml").read_text()


def test_what_cant_be_done_says_why(fleet, small, tmp_path):
    fleet.get(AT)
    page = fleet.submit(AT, directory="no/whole/path", button=("do", "compare"))
    assert finished(fleet).status in (200, 400)
    assert "no/whole/path" in page.text
    fleet.get(AT)
    fleet.submit(AT, directory=str(tmp_path / "nowhere"), button=("do", "compare"))
    assert "There is no directory" in finished(fleet).text
    assert fleet.get("/ui/providers/vc").status == 200
    assert "Project as files …" not in fleet.page.links


def test_a_server_for_many_has_no_such_page(many):
    ann = many.logged_in("ann", "red")
    assert "Project as files …" not in ann.get("/ui/providers/cloud").links
    page = ann.get("/ui/providers/cloud/tenant")
    assert (page.status, "A server reads and writes no files of yours." in page.text) == (404, True), page.text
