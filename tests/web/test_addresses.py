"""Where a page may send a browser: to pages of ours, and nowhere else."""

import pytest

from longshore.web.addresses import back_to


@pytest.mark.parametrize("address", ["/ui/", "/ui/plans?x=1", "/ui/plans/shop#top"])
def test_pages_of_ours_are_gone_back_to(address):
    assert back_to(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "///ui/x",
        "//ui/x",
        "////ui/x",
        "/\\ui/x",
        "https://evil.example/ui/",
        "//evil.example/ui/",
        "/v1/x",
        "ui/x",
        "",
        "[/ui/",
    ],
)
def test_what_browsers_would_take_for_another_host_is_not(address):
    assert back_to(address) == "/ui/"
