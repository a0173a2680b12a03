"""Narrowing what changed on an RBD image: whole objects first, then exactly within them."""

import json
import sys

from hypothesis import given
from hypothesis import strategies as st

from longshore.model.extents import Extent, merge, subtract
from longshore.providers.openstack import rbd_diff
from longshore.providers.openstack.rbd_diff import narrow_down

OBJECT = 4096
SIZE = 20 * OBJECT + 512  # the last object is cut short


class Image:
    """Answers as librbd does: whole objects from the object map, exact areas from within the range asked for."""

    def __init__(self, written):
        self.written = list(merge(Extent(o, min(n, SIZE - o)) for o, n in written))
        self.exactly = 0  # bytes looked into

    def ask(self, offset, length, whole):
        if whole:
            objects = {number for e in self.written for number in range(e.offset // OBJECT, -(-e.end // OBJECT))}
            return [Extent(n * OBJECT, OBJECT) for n in sorted(objects)]
        self.exactly += length
        end = offset + length
        found = (Extent(max(e.offset, offset), min(e.end, end) - max(e.offset, offset)) for e in self.written)
        return [e for e in found if e.length > 0]


WRITTEN = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 3 * OBJECT)), max_size=12)


@given(WRITTEN)
def test_exactly_what_was_written_is_found_and_nothing_else_is_looked_into(written):
    image = Image(written)
    assert list(narrow_down(image.ask, SIZE)) == image.written
    objects = image.ask(0, SIZE, True)
    assert image.exactly <= sum(e.length for e in objects)


@given(WRITTEN)
def test_with_too_many_objects_the_whole_image_is_asked_at_once(written):
    image = Image(written)
    few, rbd_diff.FEW = rbd_diff.FEW, 0
    try:
        found = list(narrow_down(image.ask, SIZE))
    finally:
        rbd_diff.FEW = few
    assert list(subtract(image.written, found)) == []
    assert image.exactly == (SIZE if image.written else 0)


def test_a_machine_without_cephs_bindings_says_what_to_install_and_the_whole_volume_is_compared(monkeypatch, capsys):
    for name in ("rados", "rbd"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("longshore.processes.installed.DEBIANS_MODULES", "/nowhere")
    rbd_diff.main()
    assert json.loads(capsys.readouterr().out) == {
        "unknown": "librados for Python isn't installed on this machine. Install the package python3-rados, or have a "
        "server do it (LONGSHORE_URL)."
    }
