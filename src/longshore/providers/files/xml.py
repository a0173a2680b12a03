"""XML of strangers: without document types, and so without entities of its own, external or endless."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from longshore.errors import InvalidInput

LARGEST = 4 << 20  # bytes; OVFs of hundreds of disks have a tenth of that


class _Plain(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared."""
        raise ParseError("it declares a document type")


def parse(text: bytes, name: str) -> Element:
    """Raises InvalidInput."""
    try:
        parser = XMLParser(target=_Plain())  # noqa: S314
        parser.feed(text)
        return parser.close()
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise InvalidInput(f"{name} is no OVF that can be read: {error}.", code="ovf-refused") from None


def local(tag: str) -> str:
    """A tag's or attribute's name without its namespace: makers differ in those, not in names."""
    return tag.rpartition("}")[2]


def children(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if isinstance(child.tag, str) and local(child.tag) in names)


def child(element: Element, name: str) -> Element | None:
    return next(children(element, name), None)


def text(element: Element, name: str) -> str:
    """Of a child; empty when there is none."""
    found = child(element, name)
    return "" if found is None else (found.text or "").strip()


def attribute(element: Element, name: str) -> str:
    return next((value.strip() for key, value in element.attrib.items() if local(key) == name), "")
