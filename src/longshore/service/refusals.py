"""What a caller is told who is refused, as it goes over the wire."""

from longshore.errors import LongshoreError


def body_of(error: LongshoreError) -> dict[str, str]:
    """As api's ErrorBody: the whole sentence, and the advice at its end once more by itself where there is any."""
    body = {"code": error.code, "message": str(error)}
    return body | {"advice": error.advice} if error.advice else body
