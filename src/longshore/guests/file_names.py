"""Names of a guest's files as text: what can be printed as it is, everything else, and the backslash, escaped.

A guest's names are bytes, with line ends and a terminal's commands among them. What is shown can be given back.
"""

import re

LEFT_OUT_OF_ARCHIVE = "NOT-IN-THIS-ARCHIVE.txt"  # what says what couldn't be read, at an archive's end
PLACE = re.compile(r"([\w.+-]+):(.*)", re.DOTALL | re.ASCII)  # of a file system, and a path in it
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})|\\\\")


def shown_name(name: bytes) -> str:
    text = name.decode(errors="surrogateescape")
    if text.isprintable() and "\\" not in text:  # nearly all of them
        return text
    parts = []
    for letter in text:
        if letter == "\\":
            parts.append("\\\\")
        elif letter.isprintable():
            parts.append(letter)
        else:
            parts += [f"\\x{byte:02x}" for byte in letter.encode(errors="surrogateescape")]
    return "".join(parts)


def meant_name(shown: str) -> bytes:
    """Return the name that `shown_name` showed."""
    return _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
        shown.encode(errors="surrogateescape"),
    )
