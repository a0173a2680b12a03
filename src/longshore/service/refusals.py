"""Error responses."""

from collections.abc import Iterator
from contextlib import contextmanager

from longshore.errors import LongshoreError


def body_of(error: LongshoreError) -> dict[str, str]:
    """Return an error in the shape of api's ErrorBody.

    It has the whole sentence; the advice at its end once more by itself, where there is any; and which field it is
    about, where that is known.
    """
    body = {"code": error.code, "message": str(error)}
    further = {"advice": error.advice, "field": error.field}
    return body | {name: said for name, said in further.items() if said}


@contextmanager
def said_of(field: str) -> Iterator[None]:
    """Mark what is refused in this block as about that field of the body."""
    try:
        yield
    except LongshoreError as error:
        error.field = field
        raise
