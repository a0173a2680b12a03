"""Users log in as they did, and roles that aren't carried are named."""

from resource_files import compared, exported, imported, of
from small_cloud import SmallCloud


def test_a_second_factor_is_asked_for_after_an_import_too(small, files):
    """With a new password alone, a user who needs a passcode, too, could log in."""
    asked = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    small.users, small.options = {"id-ann": "ann", "id-bob": "bob"}, {"id-ann": asked}
    assert exported(small.connect("admin"), files.path, "users").notes == []
    with SmallCloud() as target:
        report = imported(target.connect("admin"), files.path, "users")
        assert of(report, "made") == {("user", "ann"), ("user", "bob")}
        assert target.options == {"id-ann": asked, "id-bob": {}}
        assert of(imported(target.connect("admin"), files.path, "users"), "made") == set()
        target.options["id-ann"] = {}
        (row,) = (r for r in compared(target.connect("admin"), files.path, "users").rows if r.name == "ann")
        assert row.said.startswith("options: multi_factor_auth_enabled=nothing"), row.said


def test_roles_on_the_whole_system_are_named(small, files):
    small.users = {"id-ann": "ann"}
    who = {"user": {"id": "id-ann"}, "role": {"id": "r"}, "scope": {"system": {"all": True}}}
    small.identity = {"roles": [{"id": "r", "name": "admin"}], "role_assignments": [who], "groups": []}
    done = exported(small.connect("admin"), files.path, "role_grants")
    assert done.notes == ["role_grants: admin of user ann on the whole system is left out: it isn't carried."]
