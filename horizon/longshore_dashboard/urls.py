"""Addresses of a panel: whatever is below it."""

from functools import partial
from typing import Any

from django.urls import re_path

from longshore_dashboard.views import show


def __getattr__(name: str) -> Any:
    # Horizon takes this module's patterns for each panel, and writes into them, and into their view, who may open that
    # panel. So each panel gets its own.
    if name != "urlpatterns":
        raise AttributeError(name)
    view = partial(show)
    return [re_path(r"^$", view, name="index"), re_path(r"^(?P<path>.+)$", view, name="page")]
