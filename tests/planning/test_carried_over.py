"""A machine's description goes along to its server, by the rule and within what Nova takes."""

from dataclasses import replace

import pytest
from test_landing import FACTS, FLAVORS, MACHINE, REQUEST

from longshore.model.machine import ServerSettings
from longshore.model.platform import Platform
from longshore.model.request import Carry, MigrationRequest
from longshore.planning import carry_along, land
from longshore.planning.carried_over import cpu_topology

TOLD = replace(
    MACHINE,
    annotation="The shop's\nweb server \U0001f600\a",
    tags=("backup/daily", "stage/pro/du,ction"),
    attributes={"owner": "shop", "Kostenstelle (€)": "4711", "longshore:relay": "true"},
)
TAGS, OWNER = ("backup:daily", "stage:pro_du_ction"), {"owner": "shop", "Kostenstelle ___": "4711"}


def landed(machine, **changed):
    landing, concerns = land(machine, replace(REQUEST, **changed), FACTS)
    return landing, [(c.code, c.text) for c in concerns]


def test_notes_tags_and_attributes_go_along_as_nova_takes_them():
    landing, concerns = landed(TOLD)
    assert landing.description == "The shop's web server"
    assert (landing.request.tags, landing.request.metadata) == (TAGS, OWNER)
    assert concerns == []


@pytest.mark.parametrize(
    ("carry", "expected"),
    [
        (Carry(False, False, False), ("", (), {})),
        (Carry(annotation=False, tags=("stage",), attributes=("own*",)), ("", TAGS[1:], {"owner": "shop"})),
        (Carry(annotation=False, tags=("stag",), attributes=()), ("", (), {})),
    ],
)
def test_the_rule_chooses_what_goes_along(carry, expected):
    landing, _ = landed(TOLD, carry=carry)
    assert (landing.description, landing.request.tags, landing.request.metadata) == expected


def test_what_is_too_much_is_shortened_after_what_the_user_asks_for_and_said():
    much = replace(
        TOLD,
        annotation="n" * 300,
        tags=("c/" + "x" * 70, *(f"many/{n}" for n in range(60))),
        attributes={"a" * 300: "v", "note": "w" * 300, **{f"f{n}": "v" for n in range(130)}},
    )
    landing, ((code, text),) = landed(much, tags=("mine",), metadata={"note": "mine"})
    assert (len(landing.description), len(landing.request.tags), len(landing.request.metadata)) == (255, 50, 120)
    assert landing.request.tags[:2] == ("mine", "c:" + "x" * 58)
    assert landing.request.metadata["note"] == "mine"
    assert landing.request.metadata["a" * 255] == "v"
    assert code == "carried-shortened"
    assert text.startswith(f"Of what web01 carries along Nova takes less: tag c:{'x' * 70}, ")


def test_a_server_from_openstack_keeps_its_description_and_what_it_has_anyway():
    has = ServerSettings(metadata={"team": "web"}, tags=("blue",))
    server = replace(TOLD, platform=Platform("openstack"), tags=("blue",), attributes={}, server_settings=has)
    landing, _ = landed(server, carry=Carry(tags=False, attributes=False))
    assert (landing.description, landing.request.tags) == ("The shop's web server", ("blue",))
    assert landing.request.metadata == {"team": "web"}


@pytest.mark.parametrize(
    ("cpus", "cores", "flavor", "expected"),
    [
        (2, 1, None, {}),  # each a socket of its own, as clouds have it by default
        (2, 2, None, {"hw_cpu_sockets": "1", "hw_cpu_cores": "2", "hw_cpu_threads": "1"}),
        (4, 2, None, {"hw_cpu_sockets": "2", "hw_cpu_cores": "2", "hw_cpu_threads": "1"}),
        (2, 2, "large", {"hw_cpu_sockets": "1", "hw_cpu_cores": "4", "hw_cpu_threads": "1"}),
        (1, 2, None, {"hw_cpu_sockets": "1", "hw_cpu_cores": "2", "hw_cpu_threads": "1"}),  # on a larger flavor
    ],
)
def test_a_server_has_as_many_sockets_as_the_machine(cpus, cores, flavor, expected):
    machine = replace(MACHINE, cpus=cpus, cores_per_socket=cores)
    assert landed(machine, flavor=flavor)[0].cpu_topology == expected
    assert landed(machine, flavor=flavor, carry=Carry(cpu_topology=False))[0].cpu_topology == {}


def test_sockets_that_cannot_share_the_flavors_cpus_are_left_to_the_cloud():
    machine = replace(MACHINE, cpus=6, cores_per_socket=2)
    landing, concerns = landed(machine, flavor=FLAVORS[1].name)
    assert landing.cpu_topology == {}
    assert ("cpu-topology-left", "The 3 sockets of web01 can't share the 4 CPUs of flavor large evenly.") in concerns


@pytest.mark.parametrize("limits", [{"most_sockets": 1}, {"most_cores": 1}])
def test_sockets_and_cores_that_a_flavor_forbids_are_left_to_the_cloud(limits):
    machine = replace(MACHINE, cpus=4, cores_per_socket=2)
    flavor = replace(FLAVORS[1], cpus=4, **limits)
    topology, (concern,) = cpu_topology(machine, flavor, MigrationRequest())
    assert topology == {}
    assert concern.text == "Flavor large doesn't allow the 2 socket(s) of 2 cores that web01 has."


def test_attributes_whose_names_are_the_same_to_nova_are_kept_apart_and_that_is_said():
    attributes = {"cost/center": "2", "cost_center": "3", "所有者": "amy", "部署先": "tokyo", "owner": "bob"}
    machine = replace(MACHINE, attributes=attributes, tags=("team/a,b", "team/a_b"))
    carried, concerns = carry_along(machine, MigrationRequest(metadata={"owner": "shop", "___": "mine"}))
    assert carried.metadata == {
        "owner": "shop",  # as the user says otherwise
        "___": "mine",
        "cost_center": "3",
        "cost_center-2": "2",
        "___-2": "amy",
        "___-3": "tokyo",
    }
    said = {concern.code: concern.text for concern in concerns}
    assert "cost/center is cost_center-2, 所有者 is ___-2, 部署先 is ___-3" in said["carried-renamed"]
    assert "tag team:a_b" in said["carried-shortened"]
    long = {"x" * 255 + "a": "1", "x" * 255 + "b": "2"}
    assert sorted(carry_along(replace(MACHINE, attributes=long), MigrationRequest())[0].metadata.values()) == ["1", "2"]
