"""Whose a key pair is: Nova's listings don't say, and the wrong answer gives one user's access to another."""

import pytest
from resource_files import exported, imported, of

from longshore.errors import Conflict, ProviderError
from longshore.tenancy import validate

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"


def names(small):
    """The public keys that each user has there."""
    return {
        user: {n: p["public_key"] for n, p in mine.items()} for user, mine in small.compute.keypairs.items() if mine
    }


@pytest.fixture
def everybodys(small):
    """Two users with keys of one name, and the administrator's own."""
    small.users = {"id-ann": "ann", "id-bob": "bob"}
    admin = small.connect("admin")
    for user, name in (("id-ann", "laptop"), ("id-bob", "laptop"), ("id-bob", "desk")):
        admin.compute.create_keypair(name=name, user_id=user, public_key=f"{KEY} {user}")
    admin.compute.create_keypair(name="ops", public_key=f"{KEY} ops")
    return admin


def key(name, user, data="x"):
    ref = {"name": user, "domain_name": "%auth%" if user == "%auth%" else "Default", "project_name": None}
    params = {"name": name, "public_key": f"{KEY} {data}", "type": "ssh", "user_ref": ref}
    return {"type": "openstack.compute.Keypair", "params": params}


def test_an_administrators_export_says_whose_each_key_pair_is(everybodys, files):
    assert exported(everybodys, files.path, "keypairs").files == {"keypairs.yml": 1, "users_keypairs.yml": 3}
    found = {(r["params"]["user_ref"]["name"], r["params"]["name"]) for r in files.read("users_keypairs.yml")}
    assert found == {("ann", "laptop"), ("bob", "laptop"), ("bob", "desk")}
    assert {r["_info"]["user_id"] for r in files.read("users_keypairs.yml")} == {"id-ann", "id-bob"}
    assert [r["params"]["user_ref"]["name"] for r in files.read("keypairs.yml")] == ["%auth%"]
    assert validate(files.path)[1] == []


def test_key_pairs_become_those_of_their_users_once(everybodys, small, files):
    exported(everybodys, files.path, "keypairs")
    before = names(small)
    small.compute.keypairs = {}
    report = imported(everybodys, files.path, "keypairs")
    rows = {("key pair", name) for name in ("ops", "laptop of ann", "laptop of bob", "desk of bob")}
    assert of(report, "made") == rows
    assert names(small) == before
    assert of(imported(everybodys, files.path, "keypairs"), "left") == rows
    small.compute.keypairs["id-bob"]["laptop"]["public_key"] = f"{KEY} of-somebody-else"
    with pytest.raises(Conflict, match=r"Key pair laptop of bob .* The one there is another: public_key is"):
        imported(everybodys, files.path, "keypairs")


def test_a_member_gets_only_the_own_ones(everybodys, small, files):
    exported(everybodys, files.path, "keypairs")
    files.write("mine.yml", key("mine", "user-of-here"))
    small.compute.keypairs = {}
    report = imported(small.connect(), files.path, "keypairs")
    assert of(report, "made") == {("key pair", "ops"), ("key pair", "mine of user-of-here")}
    assert {row.name: row.said for row in report.rows if row.action == "skipped"} == {
        "laptop of ann": "Left out: it is user ann's, and only an administrator may import key pairs for others.",
        "laptop of bob": "Left out: it is user bob's, and only an administrator may import key pairs for others.",
        "desk of bob": "Left out: it is user bob's, and only an administrator may import key pairs for others.",
    }
    assert set(names(small)) == {"user-of-here"}


def test_a_cloud_too_old_for_key_pairs_of_others(everybodys, small, files):
    exported(everybodys, files.path, "keypairs")
    small.compute.keypairs, small.compute.newest = {}, "2.9"
    admin = small.connect("admin")
    report = imported(admin, files.path, "keypairs")
    assert of(report, "made") == {("key pair", "ops")}
    assert "compute service is older than API version 2.10" in next(
        r.said for r in report.rows if r.action == "skipped"
    )
    assert exported(admin, files.path / "again", "keypairs").files == {"keypairs.yml": 1}


def test_os_migrate_writes_an_administrators_own_key_pairs_twice(small, files):
    files.write("keypairs.yml", key("ops", "%auth%"))
    files.write("users_keypairs.yml", key("ops", "%auth%"))
    assert of(imported(small.connect("admin"), files.path, "keypairs"), "made") == {("key pair", "ops")}
    files.write("users_keypairs.yml", key("ops", "%auth%", "another"))
    assert [str(fault) for fault in validate(files.path)[1]] == [
        "users_keypairs.yml:5: The key pair ops is here a second time; the first is in keypairs.yml:3."
    ]


def test_names_with_an_at_are_made_where_the_cloud_can(small, files):
    """Nova takes them since 2.92; openstacksdk speaks 2.10."""
    files.write("keypairs.yml", key("ops@example.com", "%auth%"), key("ops", "%auth%"))
    small.compute.newest = "2.90"
    rows = {row.name: row for row in imported(small.connect(), files.path, "keypairs").rows}
    assert (rows["ops"].action, rows["ops@example.com"].action) == ("made", "skipped")
    assert rows["ops@example.com"].said == (
        "Left out: such a name needs API version 2.92 of the compute service, which this cloud doesn't have."
    )
    small.compute.newest = "2.93"
    assert of(imported(small.connect(), files.path, "keypairs"), "made") == {("key pair", "ops@example.com")}
    assert {row.action for row in imported(small.connect(), files.path, "keypairs").rows} == {"left"}


def test_users_are_all_found_where_keystone_lists_some_at_a_time(everybodys, small, files):
    small.most_users = 1
    assert exported(everybodys, files.path, "keypairs").files == {"keypairs.yml": 1, "users_keypairs.yml": 3}


def test_a_list_that_keystone_cuts_off_is_none(everybodys, small, files):
    """Keystone's list_limit does that: who isn't listed would have no key pairs, and no word would say so."""
    small.most_users, small.keystone_has_pages = 2, False
    with pytest.raises(ProviderError, match="Keystone lists only 2 users and keeps back the others"):
        exported(everybodys, files.path, "keypairs")
