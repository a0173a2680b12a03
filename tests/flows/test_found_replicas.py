"""What a target's marks tell of replicas, whoever has written them: it counts as far as it agrees with all the rest."""

import base64
import json
import string
import zlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from longshore.flows.replicas import found, marks
from longshore.flows.replicas.found import find_replicas
from longshore.model.machine import Disk, Machine, Nic, PowerState, ServerSettings
from longshore.model.platform import Platform
from longshore.model.point import Consistency
from longshore.model.target import Marked, MarkedSnapshot, MarkedVolume

ID = "0d9b0f0e-5f0b-4f52-9f2a-6f8f3b0f7a01"
GIB = 1 << 30
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DISKS = tuple(Disk(key, f"Hard disk {n + 1}", n, (n + 1) * GIB - 512, "", "ds") for n, key in enumerate("ab"))
MACHINE = Machine("vm-1", "web", PowerState.ON, 2, 512, DISKS, (), platform=Platform("vsphere"))


def volume(disk, machine=MACHINE, replica=ID, **changed):
    told = {**marks.of_volume(replica, machine, disk), found.OWNER: f"{replica}/volume-{disk.key}"}
    return MarkedVolume(f"v-{disk.key}", 2 * GIB, {**told, **changed})


def snapshot(disk, number=1, machine=MACHINE, **changed):
    told = marks.of_snapshot(ID, number, f"2026-11-2{number}T00:00:00.5Z", Consistency.CRASH, machine, disk, "ab" * 32)
    owner = {found.OWNER: f"{ID}/point-{number}-{disk.key}"}
    return MarkedSnapshot(f"s-{number}-{disk.key}", f"v-{disk.key}", 2 * GIB, True, {**told, **owner, **changed})


VOLUMES = tuple(volume(disk) for disk in DISKS)
SNAPSHOTS = tuple(snapshot(disk, number) for number in (1, 2) for disk in DISKS)


def the_one(snapshots=SNAPSHOTS, volumes=VOLUMES):
    (only,) = find_replicas(Marked(tuple(volumes), tuple(snapshots)), NOW)
    return only


def test_what_was_marked_is_found_as_it_was():
    only = the_one()
    assert (only.id, only.machine_name, only.machine_ref, only.refused) == (ID, "web", "vm-1", ())
    assert [point.number for point in only.points] == [1, 2]
    last = only.points[-1]
    assert (last.machine, last.moment) == (MACHINE, datetime(2026, 11, 22, 0, 0, 0, 500_000, UTC))
    assert [(disk.key, disk.volume_id, disk.snapshot_id, disk.size) for disk in last.disks] == [
        ("a", "v-a", "s-2-a", GIB - 512),
        ("b", "v-b", "s-2-b", 2 * GIB - 512),
    ]
    assert only.volumes == {"a": "v-a", "b": "v-b"}


def with_marks(snapshots, index, **changed):
    told = {name.replace("_", ":", 1).replace("_", "-"): value for name, value in changed.items()}
    listed = list(snapshots)
    listed[index] = replace(listed[index], metadata={**listed[index].metadata, **told})
    return listed


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"longshore_owner": f"{ID}/point-3-a"}, "owner's mark is another's"),
        ({"longshore_size": str(3 * GIB)}, "size can't be"),
        ({"longshore_size": str(GIB)}, "other disks than it"),
        ({"longshore_size": "1" * 200}, "size can't be"),
        ({"longshore_size": "-5"}, "size can't be"),
        ({"longshore_point": "0"}, "point can't be"),
        ({"longshore_point": "99999999999"}, "point can't be"),
        ({"longshore_disk": "../../x"}, "disk's key is none"),
        ({"longshore_name": "\x1b[31mred"}, "name or reference is none"),
        ({"longshore_moment": "2099-01-01T00:00:00Z"}, "moment can't be"),
        ({"longshore_moment": "yesterday"}, "moment is none"),
        ({"longshore_moment": "2026-02-31T00:00:00Z"}, "moment is none"),
        ({"longshore_moment": "2026-11-20T00:00:00Z"}, "different moments"),
        ({"longshore_consistency": "perfect"}, "its consistency is none"),
        ({"longshore_root": "AB" * 32}, "digest is none"),
        ({"longshore_disks": "1"}, "different moments or machines"),
        ({"longshore_description_count": "9"}, "pieces of its description are missing"),
        ({"longshore_description_count": "99999999"}, "no number of pieces"),
        ({"longshore_description_0": "AAAA"}, "isn't one of a machine"),
    ],
)
def test_marks_that_lie_cost_their_point_and_no_other(lie, said):
    only = the_one(with_marks(SNAPSHOTS, 0, **lie))
    assert [point.number for point in only.points] == [2]
    assert any(said in sentence for sentence in only.refused), only.refused


def described_as(machine_json):
    packed = base64.b64encode(zlib.compress(machine_json)).decode()
    pieces = [packed[start : start + 255] for start in range(0, len(packed), 255)]
    others = {key: value for key, value in SNAPSHOTS[0].metadata.items() if not key.startswith(marks.DESCRIPTION)}
    numbered = {f"{marks.DESCRIPTION}{n}": piece for n, piece in enumerate(pieces)}
    told = {**others, **numbered, f"{marks.DESCRIPTION}count": str(len(pieces))}
    return [replace(SNAPSHOTS[0], metadata=told), *SNAPSHOTS[1:]]


@pytest.mark.parametrize(
    "text",
    [b" " * (16 << 20), b"[" * 100_000, b"{}", b'{"ref": "vm-1"}', b"\xff", b"null"],
    ids=["a bomb", "deep", "empty", "little", "no text", "null"],
)
def test_a_description_is_bounded_and_of_a_machine(text):
    assert [point.number for point in the_one(described_as(text)).points] == [2]


def test_of_a_description_nothing_is_run_and_nothing_acts_on_a_terminal():
    nic = Nic("4000", "a\x1b]0;x\x07", "fa:16:3e:00:00:01", "VM Network")
    evil = replace(MACHINE, nics=(nic,), server_settings=ServerSettings(user_data="IyEvYmluL3No"))
    listed = [snapshot(disk, machine=evil) for disk in DISKS]
    machine = the_one(listed).points[0].machine
    assert (machine.server_settings.user_data, machine.nics[0].label) == (None, "a�]0;x�")


@pytest.mark.parametrize(
    ("snapshots", "volumes", "said"),
    [
        (SNAPSHOTS[1:], VOLUMES, "Point 1 isn't taken: it has 1 of 2 snapshots"),
        ((*SNAPSHOTS, replace(SNAPSHOTS[0], id="s-x")), VOLUMES, "two snapshots of the same disk"),
        ((replace(SNAPSHOTS[0], volume_id="v-b"), *SNAPSHOTS[1:]), VOLUMES, "isn't of the replica's volume"),
        ((replace(SNAPSHOTS[0], usable=False), *SNAPSHOTS[1:]), VOLUMES, "doesn't call it available"),
        (SNAPSHOTS[:2], VOLUMES[:1], "isn't of the replica's volume"),
        (SNAPSHOTS[:2], (*VOLUMES, replace(VOLUMES[0], id="v-z")), "another volume says that it is of the same disk"),
        (SNAPSHOTS[:2], (volume(DISKS[0], replica=ID, **{found.OWNER: "x/volume-a"}), VOLUMES[1]), "is another's"),
    ],
)
def test_what_isnt_whole_isnt_a_point(snapshots, volumes, said):
    only = the_one(snapshots, volumes)
    assert 1 not in [point.number for point in only.points] or snapshots == SNAPSHOTS[:2]
    assert any(said in sentence for sentence in only.refused), only.refused


def test_strangers_marks_are_nobodys_replica():
    strange = [{}, {marks.REPLICA: "mine"}, {marks.REPLICA: "../../etc"}]
    assert find_replicas(Marked(tuple(MarkedVolume("v", GIB, told) for told in strange), ()), NOW) == []


KEYS = sorted({*SNAPSHOTS[0].metadata, *VOLUMES[0].metadata})
TEXTS = some.one_of(
    some.text(max_size=60),
    some.text(alphabet=string.digits + "-.:TZ/abcdef", max_size=60),
    some.sampled_from(sorted({value for one in (*SNAPSHOTS, *VOLUMES) for value in one.metadata.values()})),
)


@settings(max_examples=60, deadline=None)
@given(
    changes=some.lists(
        some.tuples(some.integers(0, 5), some.sampled_from(KEYS), some.none() | TEXTS), min_size=1, max_size=4
    )
)
def test_whatever_is_written_there_what_counts_agrees_with_the_cloud(changes):
    """Any few marks, of any volume or snapshot, taken away or made into anything."""
    things = [*VOLUMES, *SNAPSHOTS]
    for index, key, value in changes:
        told = {name: text for name, text in things[index].metadata.items() if name != key}
        things[index] = replace(things[index], metadata={**told, **({} if value is None else {key: value})})
    volumes, snapshots = tuple(things[:2]), tuple(things[2:])
    for replica in find_replicas(Marked(volumes, snapshots), NOW):
        assert "/" not in replica.id
        json.dumps([replica.machine_name, replica.refused])
        assert replica.machine_name.isprintable()
        by_id = {one.id: one for one in snapshots}
        for point in replica.points:
            assert len({disk.key for disk in point.disks}) == len(point.machine.disks) == len(point.disks)
            for disk in point.disks:
                taken = by_id[disk.snapshot_id]
                assert taken.volume_id == disk.volume_id == replica.volumes[disk.key]
                assert 0 < disk.size <= taken.size
                assert taken.metadata[marks.POINT] == str(point.number)
                assert "/" not in disk.key
