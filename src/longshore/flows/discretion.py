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
    """The filter for texts that reach users of a provider of this name who may not see these settings."""

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
        """Return the text without address and account. URLs of the cloud's services go, too: they also tell where it
        is."""
        text = _URL.sub(self._name, text)
        for pattern, instead in self._replaced:
            text = pattern.sub(instead, text)
        return text

    def error(self, error: LongshoreError) -> LongshoreError:
        """Return an error of the same kind and code, without address and account."""
        told = copy.copy(error)
        told.message, told.advice = self.said(error.message), self.said(error.advice)
        told.args = (f"{told.message} {told.advice}".strip(),)
        return told

    def about(self, work: Callable[[], T]) -> T:
        """Return what `work` answers. Its errors are raised without address and account, also those of an iterator that
        it answers."""
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
