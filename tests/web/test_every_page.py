"""Each page as a whole: no script in it, nothing that the content security policy refuses, every link leads somewhere."""

from urllib.parse import urlsplit

import pytest
from filled import BAD_NAME

INERT = {"script", "link", "meta"}


def visit(browser, start="/ui/"):
    """Every page that links lead to, by its address without a question."""
    seen, todo = {}, [start]
    while todo:
        path = todo.pop()
        known = urlsplit(path).path
        if known in seen or not path.startswith("/ui/"):
            continue
        seen[known] = browser.get(path)
        todo += list(seen[known].links.values())
    return seen


def test_all(filled):
    for path, page in visit(filled).items():
        print(path, page.status)
        assert page.status == 200, (path, page.text)
