"""Pictures of the documents: `make pictures` writes them to docs/pictures, else they go to build/pictures."""

import os
from pathlib import Path

from every_address import addresses
from looking import IN_BROWSER, Looking, serving

pytestmark = IN_BROWSER
PICTURES = Path(os.environ.get("LONGSHORE_PICTURES", Path(__file__).parents[2] / "build" / "pictures"))
LARGEST = 100 << 10  # bytes of one: a document isn't to be heavy
WIDE = 1180
TALL = {"overview": 900, "plan": 800, "mappings": 1100, "replica": 1290, "restore": 1100}  # at most


def test_pictures_of_the_documents_are_as_the_pages_are(everything, chromium):
    store, ids = everything
    PICTURES.mkdir(parents=True, exist_ok=True)
    with serving(store) as (address, person):
        viewport = {"width": WIDE, "height": 700}
        tab = Looking(chromium, address, person.link, viewport=viewport, locale="en-GB", reduced_motion="reduce")
        pages = {name: path for of in addresses({**ids, "limit": "", "key": ""}).values() for name, path in of.items()}
        for name, tall in TALL.items():
            tab.open(pages[name])
            picture = PICTURES / f"{name}.png"
            height = min(tab.page.evaluate("document.documentElement.scrollHeight"), tall)
            tab.page.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": WIDE, "height": height})
            assert picture.stat().st_size < LARGEST, name
        tab.close()
