"""Points that are held: nobody deletes them, and nobody holds what is being deleted, whoever comes first."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from longshore.errors import Conflict, LongshoreError, NotFound
from longshore.model.point import Hold
from longshore.vault.directory import Directory
from longshore.vault.holds import Held, delete_point, hold_of, hold_point, holds, release_point
from longshore.vault.points import Point, has_point, write_point
from longshore.vault.vault import Vault

POINT = "00112233445566778899aabbccddeeff/20261123T014500000Z-01234567"
OTHER = "00112233445566778899aabbccddeeff/20261123T024500000Z-01234567"
AUDIT = Hold("audit")


class Killed(BaseException):
    pass


class Interrupted(Directory):
    """Before its call of that number, counted from 0, something else is done."""

    call, does = -1, None

    def _count(self):
        self.call -= 1
        if self.call == -1:
            self.does()

    def create(self, name, data):
        self._count()
        super().create(name, data)

    def read(self, name):
        self._count()
        return super().read(name)

    def size(self, name):
        self._count()
        return super().size(name)

    def delete(self, name):
        self._count()
        super().delete(name)


@pytest.fixture(params=[None, "a phrase of some length"], ids=["clear", "encrypted"])
def vault(request, tmp_path):
    vault = Vault.create(Interrupted(tmp_path / "vault"), request.param)
    for name in (POINT, OTHER):
        write_point(vault, Point(name, datetime.now(UTC), {}, {}))
    return vault


def killed_at(vault, call, do):
    def die():
        raise Killed

    vault.store.call, vault.store.does = call, die
    with suppress(Killed):
        do()
    vault.store.call = -1


def left(vault):
    return list(vault.store.names("holds"))


def test_what_is_held_stays_until_it_is_released(vault):
    hold_point(vault, POINT, AUDIT)
    assert holds(vault) == {POINT: AUDIT}
    with pytest.raises(Held, match=r"held .audit.*longshore backup release"):
        delete_point(vault, POINT)
    with pytest.raises(Held):
        hold_point(vault, POINT, Hold("another"))
    with pytest.raises(NotFound, match=r"another doesn't hold .*; audit does"):
        release_point(vault, POINT, "another")
    delete_point(vault, OTHER)
    release_point(vault, POINT, "audit")
    delete_point(vault, POINT)
    assert (has_point(vault, POINT), has_point(vault, OTHER), left(vault)) == (False, False, [])
    with pytest.raises(NotFound):
        hold_point(vault, POINT, AUDIT)
    delete_point(vault, POINT)


def test_a_hold_ends_when_its_time_has_passed(vault):
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    hold_point(vault, POINT, Hold("over", past))
    assert (hold_of(vault, POINT), holds(vault)) == (None, {})
    hold_point(vault, POINT, Hold("later", future))
    assert hold_of(vault, POINT) == Hold("later", future)
    hold_point(vault, OTHER, Hold("over", past))
    delete_point(vault, OTHER)
    assert not has_point(vault, OTHER)


def test_what_it_is_held_for_is_not_read_without_the_key(vault):
    hold_point(vault, POINT, Hold("audit-of-the-murder"))
    written = b"".join(path.read_bytes() for path in vault.store.root.rglob("*.hold"))
    assert (b"murder" in written) is not vault.encrypted


def test_a_hold_that_has_ended_and_a_new_one_are_told_apart_whoever_looked_before(vault):
    """Somebody who deletes the point has seen the old one, and comes back when the new one is there."""
    hold_point(vault, POINT, Hold("over", datetime.now(UTC) - timedelta(hours=1)))
    vault.store.call, vault.store.does = 4, lambda: hold_point(vault, POINT, AUDIT)
    with pytest.raises(Held):
        delete_point(vault, POINT)
    assert (has_point(vault, POINT), hold_of(vault, POINT)) == (True, AUDIT)


@pytest.mark.parametrize("call", range(12))
@pytest.mark.parametrize("first", ["hold", "delete"])
def test_whoever_comes_between_it_is_held_or_deleted_and_never_both(vault, first, call):
    held = deleted = False

    def hold():
        nonlocal held
        with suppress(Conflict, NotFound):
            hold_point(vault, POINT, AUDIT)
            held = True

    def delete():
        nonlocal deleted
        with suppress(Held):
            delete_point(vault, POINT)
            deleted = True

    one, other = (hold, delete) if first == "hold" else (delete, hold)
    vault.store.call, vault.store.does = call, other
    one()
    if vault.store.call >= 0:  # it had fewer calls than that
        vault.store.call = -1
        other()
    assert held is not deleted
    assert has_point(vault, POINT) is held
    assert holds(vault) == ({POINT: AUDIT} if held else {})
    assert bool(left(vault)) is held


@pytest.mark.parametrize("call", range(12))
def test_whoever_dies_while_he_deletes_is_followed_by_the_next(vault, call):
    killed_at(vault, call, lambda: delete_point(vault, POINT))
    if has_point(vault, POINT) and left(vault):
        with pytest.raises(Conflict, match="is being deleted"):
            hold_point(vault, POINT, AUDIT)
    delete_point(vault, POINT)
    assert (has_point(vault, POINT), left(vault)) == (False, [])


@pytest.mark.parametrize("call", range(12))
def test_whoever_dies_while_he_holds_has_held_it_or_not(vault, call):
    killed_at(vault, call, lambda: hold_point(vault, POINT, AUDIT))
    held = bool(holds(vault))
    with suppress(LongshoreError):
        delete_point(vault, POINT)
    assert has_point(vault, POINT) is held
