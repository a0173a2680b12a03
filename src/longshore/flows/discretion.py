"""A shared provider's address and account, kept from those whom it is shared with.

Its cloud's errors name both, wherever they come up: in an answer, a plan's concerns, an event of a migration. So they
are taken out where the errors come from, before anybody can write them down.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from longshore.errors import LongshoreError

T = TypeVar("T")
_ACCOUNT = ("username", "user_id", "application_credential_id", "application_credential_name")
_URL = re.compile(r"https?://[^\s'\"<>(),]+")


class Discretion:
    """Towards those who use a provider of this name and these settings without seeing them."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        auth = settings.get("auth")
        told = {**settings, **(auth if isinstance(auth, Mapping) else {})}
        url = told.get("auth_url")
        hosts = [told.get("host"), urlsplit(url).hostname if isinstance(url, str) else None]
        account = [told.get(key) for key in _ACCOUNT]
        self._name = name
        self._replaced = [(_written(host, r"(:\d+)?"), name) for host in hosts if host]
        self._replaced += [(_written(each, ""), "its user") for each in account if each]

    def said(self, text: str) -> str:
        """Without them. Addresses of the cloud's services tell where it is as well."""
        text = _URL.sub(self._name, text)
        for pattern, instead in self._replaced:
            text = pattern.sub(instead, text)
        return text

    def error(self, error: LongshoreError) -> LongshoreError:
        """One of the same kind and code."""
        told = copy.copy(error)
        told.message, told.advice = self.said(error.message), self.said(error.advice)
        told.args = (f"{told.message} {told.advice}".strip(),)
        return told

    def about(self, work: Callable[[], T]) -> T:
        """What `work` answers, or its error without them; also where it answers one thing after another."""
        try:
            answer = work()
        except LongshoreError as error:
            raise self.error(error) from None
        return self._each(answer) if isinstance(answer, Iterator) else answer  # type: ignore[return-value]

    def _each(self, answers: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from answers
        except LongshoreError as error:
            raise self.error(error) from None


def _written(word: Any, more: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@-]){re.escape(str(word))}{more}(?![\w@-]|\.\w)", re.IGNORECASE)
