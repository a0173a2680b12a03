"""Signs that an option holds a secret, as far as its name and value tell."""

import re
from urllib.parse import urlsplit

_SECRET = re.compile(
    r"pass(_?(word|phrase|code|wd))?(_|$)|(^|_)(pwd|pin|otp|totp|key|code|cookie|assertion|saml2?|jwt|credentials?)$"
    r"|(^|_)token$|secret|private",
    re.IGNORECASE,
)


def looks_secret(name: str) -> bool:
    """Tell whether an option or variable of this name is likely to hold a secret: oauth2_client_secret, OS_PASSWORD."""
    return _SECRET.search(name) is not None


def has_password(address: str) -> bool:
    """Tell whether there is a password in a URL: https://ann:secret@host/."""
    try:
        return urlsplit(address).password is not None
    except ValueError:
        return False
