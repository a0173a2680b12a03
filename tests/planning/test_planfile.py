"""A plan's file: what is read, what is refused and where, and that what is written reads the same."""

import json
import re
from pathlib import Path
from re import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.errors import InvalidInput
from longshore.model.machine import Machine, PowerState
from longshore.model.plan import FlavorRule, Mappings, Plan, PlanLimits, PlannedMachine, PlannedVolume
from longshore.model.platform import Platform
from longshore.model.request import Carry
from longshore.planning.planfile import from_plain, plain, read, request_of, schema, write

PLAN = """\
name: shop
source: vc
target: cloud
mappings:
  networks:
    VM Network: private
  zones: {cluster1: az1, web/front: az2}
  flavors:
  - {flavor: m.small, cpus: 2, memory_mib: 4096}
  - {flavor: m.db, machine: db-*}
defaults:
  type: warm
  cutover: {mode: automatic, downtime: 30}
  metadata: {owner: shop}
limits:
  per_host: 2
machines:
- web01
- machine: db-1
  wave: 2
  flavor: m.large
  networks: {DMZ: dmz}
  metadata: {tier: back}
"""


def machine(name="web01", **fields):
    return Machine(
        "vm-1", name, PowerState.ON, fields.pop("cpus", 1), 1024, (), (), platform=Platform("vsphere"), **fields
    )


def test_a_plan_is_read_and_written_again_as_the_same():
    plan = read(PLAN, "shop.yaml")
    assert plan.waves == [1, 2]
    assert plan.limits == PlanLimits(per_host=2)
    assert read(write(plan), "again") == plan
    assert from_plain(plain(plan)) == plan
    assert write(read(write(plan), "again")) == write(plan)


def test_options_come_from_mappings_then_defaults_then_the_machines_own():
    plan = read(PLAN, "shop.yaml")
    web, db = plan.machines
    request = request_of(plan.options_for(web, machine(cluster="cluster1")))
    assert (request.type.value, request.flavor, request.availability_zone) == ("warm", "m.small", "az1")
    assert (request.cutover.mode.value, request.cutover.downtime, request.cutover.interval) == ("automatic", 30, 600)
    assert request.networks == {"VM Network": "private"}
    request = request_of(plan.options_for(db, machine("db-1", folder="web/front/old", cluster="cluster1", cpus=8)))
    assert (request.flavor, request.availability_zone) == ("m.large", "az2")
    assert request.networks == {"VM Network": "private", "DMZ": "dmz"}
    assert request.metadata == {"owner": "shop", "tier": "back"}


def test_the_first_flavor_rule_that_fits_wins_and_none_means_the_smallest():
    plan = read(PLAN, "shop.yaml")
    entry = PlannedMachine("x")
    assert plan.options_for(entry, machine("db-7", cpus=1))["flavor"] == "m.small"
    assert plan.options_for(entry, machine("db-7", cpus=3))["flavor"] == "m.db"
    assert "flavor" not in plan.options_for(entry, machine("web", cpus=3))


def test_a_scheduled_cutover_has_a_time_and_a_window_that_opens():
    with pytest.raises(InvalidInput, match="needs a time"):
        request_of({"cutover": {"mode": "scheduled"}})
    window = {"mode": "scheduled", "at": "2026-11-21T22:00:00", "until": "2026-11-21T23:00:00+02:00"}
    with pytest.raises(InvalidInput, match="closes before it opens"):
        request_of({"cutover": window})
    assert request_of({"cutover": {**window, "until": "2026-11-22T02:00:00Z"}}).cutover.until
    with pytest.raises(InvalidInput, match=r"that is past: it is .* UTC now"):
        request_of({"type": "warm", "cutover": {"mode": "scheduled", "at": "2025-11-21T22:00:00"}})


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("wave: 2", "wav: 2", 20, '"wav" isn\'t known here. Did you mean "wave"?'),
        ("wave: 2", "wave: second", 20, '"wave" has to be a whole number'),
        ("type: warm", "type: hot", 12, "'dry-run', 'cold' or 'warm'"),
        ("downtime: 30", "downtime: soon", 13, "cutover.downtime"),
        ("downtime: 30", "down: 30", 13, 'Did you mean "downtime"?'),
        ("downtime: 30", "downtime: -1", 13, "seconds, more than 0"),
        ("downtime: 30", "downtime: .inf", 13, "isn't a number that can be meant"),
        ("type: warm", "boot_timeout: 0", 12, '"boot_timeout" has to be a number of seconds'),
        ("type: warm", "accept: quota-cores", 12, "it has to be a list"),
        ("wave: 2", "wave: -1", 20, "0 or more"),
        ("per_host: 2", "per_host: 0", 16, "at least 1"),
        ("per_host: 2", "per_host: true", 16, "at least 1"),
        ("source: vc\n", "", 1, 'A plan needs "source"'),
        ("name: shop", "name: my shop", 1, "letters, digits"),
        ("name: shop", "name: shop\nname: shop", 2, '"name" is there twice'),
        ("- web01", "- web01\n- web01", 19, "web01 is in the plan twice"),
        ("- web01", "- {wave: 1}", 18, 'Each machine needs "machine"'),
        ("- web01", "- 7", 18, "has to be a table"),
        ("cpus: 2", "cpu: 2", 9, 'Did you mean "cpus"?'),
        ("  type: warm", "  type: warm\n  networks: {a: b}", 13, '"networks" isn\'t known here'),
        ("flavor: m.large", "flavor: [m.large]", 21, '"flavor" isn\'t right'),
        ("networks: {DMZ: dmz}", "networks: [DMZ]", 22, '"networks" isn\'t right'),
        ("name: shop", "name: [shop", 2, "This isn't YAML"),
        ("name: shop", "name: shop\n\tx: 1", 2, "This isn't YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_line(old, new, line, said):
    assert old in PLAN
    with pytest.raises(InvalidInput) as refused:
        read(PLAN.replace(old, new, 1), "shop.yaml")
    assert re.match(rf"shop\.yaml, line {line}(, column \d+)?: ", str(refused.value))
    assert said in str(refused.value)


VOLUMES = """\
name: shop
source: old
target: new
mappings:
  storage: {slow: fast}
defaults: {type: warm, verify: written, availability_zone: az1}
volumes:
- archive
- volume: spare
  ref: 91c2b7aa
  wave: 3
  storage: {ceph: gold}
  accept: [quota-volumes]
"""


def test_volumes_have_options_of_their_own_and_of_the_plans_those_that_are_about_volumes():
    plan = read(VOLUMES, "shop.yaml")
    assert plan.waves == [1, 3]
    assert read(write(plan), "again") == plan
    assert [(entry.machine, entry.wanted) for entry in plan.entries] == [
        ("volume:archive", "volume:archive"),
        ("volume:spare", "volume:91c2b7aa"),
    ]
    archive, spare = (request_of(plan.options_for_volume(entry)) for entry in plan.volumes)
    assert (archive.type.value, archive.storage, archive.verify.value) == ("volume", {"slow": "fast"}, "written")
    assert archive.availability_zone is None  # that of servers
    assert (spare.type.value, spare.storage) == ("volume", {"slow": "fast", "ceph": "gold"})
    assert spare.accept == ("quota-volumes",)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("- archive", "- {wave: 1}", 8, 'Each volume needs "volume"'),
        ("wave: 3", "flavor: large", 11, '"flavor" isn\'t known here. Known here: volume, ref, wave'),
        ("wave: 3", "wave: x", 11, '"wave" has to be a whole number'),
        ("- archive", "- archive\n- archive", 9, "archive is in the plan twice"),
        ("volumes:", "machines: ['volume:archive']\nvolumes:", 9, "volume:archive is in the plan twice"),
    ],
)
def test_what_is_wrong_with_a_volume_is_refused_with_file_and_line(old, new, line, said):
    with pytest.raises(InvalidInput) as refused:
        read(VOLUMES.replace(old, new, 1), "shop.yaml")
    assert re.match(rf"shop\.yaml, line {line}(, column \d+)?: ", str(refused.value))
    assert said in str(refused.value)


def test_of_what_goes_along_a_machine_may_choose_otherwise_in_part():
    with_rule = (
        "name: shop\nsource: vc\ntarget: cloud\ndefaults:\n  carry: {annotation: false, tags: [stage]}\nmachines:\n"
    )
    plan = read(with_rule + "- machine: web\n  carry: {tags: false}\n  boot_port: 22\n", "shop.yaml")
    machine = Machine("vm-1", "web", PowerState.ON, 1, 256, (), (), platform=Platform("vsphere"))
    asked = request_of(plan.options_for(plan.machines[0], machine))
    assert asked.carry == Carry(annotation=False, tags=False, attributes=True)
    assert asked.boot_ports == (22,)
    with pytest.raises(InvalidInput, match=r'line 8: "notes" isn.t known here'):
        read(with_rule + "- machine: web\n  carry: {notes: true}\n", "shop.yaml")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "[]", "shop", "- a", "a: &a [*a]", "? [x]\n: y", "!!python/none x"]
)
def test_what_is_no_plan_at_all_is_refused_in_a_sentence(text):
    with pytest.raises(InvalidInput, match=r"^shop.yaml"):
        read(text, "shop.yaml")


printable = st.characters(exclude_categories=("C", "Zl", "Zp"))
names = st.text(printable, min_size=1, max_size=12).filter(str.strip)
some = st.dictionaries(names, names, max_size=3)
few = st.none() | st.integers(1, 99)
plans = st.builds(
    Plan,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    source=names,
    target=names,
    description=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30),
    machines=st.lists(
        st.builds(
            PlannedMachine,
            machine=names,
            ref=st.none() | names,
            wave=st.integers(0, 9),
            options=st.fixed_dictionaries(
                {},
                optional={
                    "flavor": names,
                    "accept": st.lists(st.sampled_from(["quota-cores", "disk-too-large"]), max_size=2),
                    "boot_mark": names.map(escape),
                    "boot_port": st.integers(1, 65535) | st.lists(st.integers(1, 65535), max_size=3),
                    "tags": st.just([]),
                },
            ),
        ),
        max_size=4,
        unique_by=(lambda m: m.machine, lambda m: m.ref or m.machine),
    )
    .filter(
        lambda ms: (
            len({n for m in ms for n in {m.machine, m.ref or m.machine}})
            == sum(len({m.machine, m.ref or m.machine}) for m in ms)
        )
    )
    .map(tuple),
    volumes=st.lists(
        st.builds(PlannedVolume, volume=names, wave=st.integers(0, 9), options=st.just({"verify": "none"})),
        max_size=2,
        unique_by=lambda v: v.volume,
    ).map(tuple),
    mappings=st.builds(
        Mappings,
        networks=some,
        subnets=some,
        storage=some,
        zones=some,
        flavors=st.lists(
            st.builds(FlavorRule, flavor=names, cpus=few, memory_mib=few, machine=st.none() | names), max_size=2
        ).map(tuple),
    ),
    defaults=st.fixed_dictionaries({}, optional={"type": st.sampled_from(["cold", "warm"]), "keep": st.booleans()}),
    limits=st.builds(PlanLimits, at_once=st.integers(1, 9), per_host=few, bytes_per_second=few),
)


@settings(max_examples=50, deadline=None)
@given(plans)
def test_any_plan_comes_back_from_its_file(plan):
    assert read(write(plan), "x") == plan


def test_the_schema_knows_every_word_that_a_file_may_hold():
    published = json.loads((Path(__file__).parents[2] / "docs/reference/plan.schema.json").read_text())
    assert published == schema(), "stale: run .venv/bin/python docs/reference/generate.py"
    entry = published["$defs"]["PlannedMachine"]["anyOf"][1]["properties"]
    assert {"machine", "ref", "wave", "flavor", "networks", "before", "after", "cutover"} <= set(entry)
    of_volume = published["$defs"]["PlannedVolume"]["anyOf"][1]["properties"]
    assert {"volume", "ref", "wave", "storage", "availability_zone", "verify"} <= set(of_volume)
    assert "flavor" not in of_volume
    assert "networks" not in published["properties"]["defaults"]["properties"]
    assert published["additionalProperties"] is False
