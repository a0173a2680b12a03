"""New passwords are in a file that its owner alone can read, or the user isn't made."""

import os
import resource

import pytest
import yaml
from resource_files import ref

from longshore.errors import InvalidInput, LongshoreError
from longshore.tenancy import validate
from longshore.tenancy.passwords import Passwords


def test_each_user_has_a_line_and_the_file_is_added_to(tmp_path):
    path = tmp_path / "passwords.yml"
    for user in ("ann", 'b"o', "cém"):
        passwords = Passwords(path)
        passwords.new("Default", user)
        passwords.close()
    told = yaml.safe_load(path.read_text())
    assert [(each["domain"], each["user"]) for each in told] == [
        ("Default", "ann"),
        ("Default", 'b"o'),
        ("Default", "cém"),
    ]
    assert len({each["password"] for each in told}) == 3
    assert min(len(each["password"]) for each in told) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_can_read_is_refused(tmp_path):
    open_to_all = tmp_path / "open.yml"
    open_to_all.touch(mode=0o640)
    (tmp_path / "link.yml").symlink_to(tmp_path / "target.yml")
    os.mkfifo(tmp_path / "pipe.yml", 0o600)
    for name in ("open.yml", "link.yml", "pipe.yml", "nowhere/passwords.yml"):
        with pytest.raises(InvalidInput):
            Passwords(tmp_path / name)
    assert open_to_all.read_text() == ""
    assert not (tmp_path / "target.yml").exists()


def test_a_password_that_cannot_be_kept_is_not_given(tmp_path):
    passwords = Passwords(tmp_path / "passwords.yml")
    room, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, most))
        with pytest.raises(
            LongshoreError, match=r"The password of user ann can't be written to .*The user wasn't made"
        ):
            passwords.new("Default", "ann")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
        passwords.close()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"user_ref": ref("u"), "group_ref": ref("g"), "project_ref": ref("p")}, ["user_ref and group_ref"]),
        ({"user_ref": ref("u"), "project_ref": None}, ["project_ref and domain_ref"]),
        ({}, ["project_ref and domain_ref", "user_ref and group_ref"]),
        ({"group_ref": ref("g"), "domain_ref": ref("d"), "is_inherited": True}, []),
    ],
)
def test_a_role_is_granted_to_one_and_somewhere(files, params, said):
    grant = {"type": "openstack.identity.RoleGrant", "params": {"role_ref": ref("member"), **params}}
    files.write("longshore/role_grants.yml", grant)
    assert [fault.sentence for fault in validate(files.path)[1]] == [
        f"A role grant has exactly one of {names}." for names in said
    ]
