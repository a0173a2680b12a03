"""Each kind of job has a request of its own class, which has what it can be asked for and no more."""

from dataclasses import fields

import pytest
from pydantic import ValidationError

from longshore.model.forms import form
from longshore.model.request import (
    BackupRequest,
    GroupRequest,
    MigrationRequest,
    MigrationType,
    PolicyRequest,
    VaultRequest,
    request_from_json,
)

NEEDED = {kind: {"directory": "/files"} for kind in MigrationType if kind.of_tenant}
NEEDED |= {MigrationType.PLAN_CHECK: {"of": "a-plan", "revision": 1, "total": 3}}
PROXY = {"name": "reader", "host": "esx1", "datastore": "big", "network": "VM Network", "address": "10.0.0.5/24"}
NEEDED |= {MigrationType.PROXY: {"proxy": PROXY, "image": "/relay.qcow2"}}
NO_MIGRATION = [kind for kind in MigrationType if kind.of_vault or kind.of_group or kind.awaited] + [
    MigrationType.BACKUP,
    MigrationType.BACKUP_POLICY,
    MigrationType.PROXY,
]


@pytest.mark.parametrize("kind", MigrationType)
def test_a_request_comes_back_as_it_was_kept(kind):
    asked = request_from_json({"type": kind.value, **NEEDED.get(kind, {})})
    assert asked.type is kind
    assert request_from_json(asked.to_json()) == asked
    assert isinstance(asked, MigrationRequest) == (kind not in NO_MIGRATION)


def test_it_has_what_can_be_asked_and_no_more():
    assert VaultRequest(MigrationType.PRUNE).to_json() == {"type": "prune", "of": None}
    assert PolicyRequest().to_json() == {"type": "backup-policy"}
    assert [each.name for each in fields(GroupRequest)] == ["type"]
    own = {each.name for each in fields(BackupRequest)}
    assert {"quiesce", "verify", "accept", "before", "of"} <= own < {each.name for each in fields(MigrationRequest)}
    assert not own & {"networks", "flavor", "cutover", "landing", "boot_proof"}


@pytest.mark.parametrize("kind", NO_MIGRATION)
def test_it_is_no_type_of_a_migration(kind):
    with pytest.raises(ValidationError, match="type"):
        form(MigrationRequest).validate_python({"type": kind.value})


def test_one_without_a_type_is_a_cold_migration():
    assert request_from_json({"server_name": "web"}) == MigrationRequest(server_name="web")
