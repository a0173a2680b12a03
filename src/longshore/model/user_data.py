"""A server's user data, which may be any bytes, as a text that people and JSON can hold.

Text is itself. What isn't (gzip, for example) is written as `base64:` and the bytes in base64; cloud-init knows no text
that begins so.
"""

import base64
import binascii

from longshore.errors import InvalidInput

_MARK = "base64:"


def encode(content: bytes) -> str:
    """Encode user data as text for people, plans and JSON."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    # Databases keep no NUL in a text
    return _MARK + base64.b64encode(content).decode() if "\0" in text or text.startswith(_MARK) else text


def decode(text: str) -> bytes:
    """Return the bytes that `encode` was given. Raises InvalidInput."""
    if not text.startswith(_MARK):
        return text.encode()
    try:
        return base64.b64decode("".join(text.removeprefix(_MARK).split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f'What follows "{_MARK}" in the user data isn\'t base64.') from None
