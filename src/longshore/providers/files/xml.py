"""XML of strangers: without document types, and so without entities of its own, external or endless."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from longshore.errors import InvalidInput

LARGEST = 4 << 20  # bytes; OVFs of hundreds of disks have a tenth of that
_LONGEST = 4096  # characters of anything that is said
_FED = 16 << 10  # bytes that the parser gets at once
# Encodings that expat doesn't know, as a document's first line has them
_EASTERN = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["'](gbk|gb2312|gb18030|big5|shift_jis|euc-jp|euc-kr)["']""", re.IGNORECASE
)


class _Plain(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared. expat stops at the end of the piece that it was fed."""
        raise ParseError("it declares a document type")


def parse(text: bytes, name: str) -> Element:
    """Parse XML. Raises InvalidInput."""
    try:
        parser = XMLParser(target=_Plain())  # noqa: S314
        text = text.lstrip(b"\t\n\r ")  # which no document begins with, though some makers' do
        eastern = _EASTERN.match(text)
        read = text.decode(eastern[1].decode()) if eastern else text
        for at in range(0, len(read), _FED):
            parser.feed(read[at : at + _FED])
        return parser.close()
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise InvalidInput(f"{name} is no OVF that can be read: {error}.", code="ovf-refused") from None


def local(tag: str) -> str:
    """Return a tag's or attribute's name without its namespace: makers differ in those, not in names."""
    return tag.rpartition("}")[2]


def children(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if isinstance(child.tag, str) and local(child.tag) in names)


def everywhere(element: Element, *names: str) -> Iterator[Element]:
    """Yield the element itself and what is in it, at whatever depth, if it is called so."""
    return (one for one in element.iter() if isinstance(one.tag, str) and local(one.tag) in names)


def child(element: Element, name: str) -> Element | None:
    return next(children(element, name), None)


def text(element: Element, *names: str) -> str:
    """Return the text, on one line, of the first child with one of these names that has any; empty: none has."""
    found = (child(element, name) for name in names)
    return next((said for one in found if one is not None and (said := " ".join(_plain(one.text or "").split()))), "")


def prose(element: Element, name: str) -> str:
    """Return a child's text with its lines."""
    found = child(element, name)
    lines = [] if found is None else (found.text or "").strip()[:_LONGEST].splitlines()
    return "\n".join(_plain(line).rstrip() for line in lines)


def attribute(element: Element, name: str) -> str:
    return _plain(reference(element, name)).strip()


def reference(element: Element, name: str) -> str:
    """Return an attribute that names a file, with each of its letters."""
    named = (value for key, value in element.attrib.items() if local(key).lower() == name.lower())
    return next(named, "")[:_LONGEST].strip(" \t\r\n")


def _plain(said: str) -> str:
    """Write a text for people's screens, and for names that are made of it: blanks for letters that a screen doesn't
    show."""
    return "".join(letter if letter.isprintable() else " " for letter in said[:_LONGEST])
