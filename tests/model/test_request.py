"""Each kind of job has a request of its own class, which has what it can be asked for and no more."""

from dataclasses import fields

import pytest
from pydantic import ValidationError

from longshore.model.forms import form
from longshore.model.request import (
    GroupRequest,
    MigrationRequest,
    MigrationType,
    PolicyRequest,
    VaultRequest,
    request_from_json,
)

OF_NO_MACHINE = [kind for kind in MigrationType if kind.of_vault or kind.of_group] + [MigrationType.BACKUP_POLICY]


@pytest.mark.parametrize("kind", MigrationType)
def test_a_request_comes_back_as_it_was_kept(kind):
    asked = request_from_json({"type": kind.value})
    assert asked.type is kind
    assert request_from_json(asked.to_json()) == asked
    assert isinstance(asked, MigrationRequest) == (kind not in OF_NO_MACHINE)


def test_what_is_about_no_machine_has_no_fields_of_one():
    assert VaultRequest(MigrationType.PRUNE).to_json() == {"type": "prune", "of": None}
    assert PolicyRequest().to_json() == {"type": "backup-policy"}
    assert [each.name for each in fields(GroupRequest)] == ["type"]


@pytest.mark.parametrize("kind", OF_NO_MACHINE)
def test_it_is_no_type_of_what_is_asked_of_a_machine(kind):
    with pytest.raises(ValidationError, match="type"):
        form(MigrationRequest).validate_python({"type": kind.value})


def test_one_without_a_type_is_a_cold_migration():
    assert request_from_json({"server_name": "web"}) == MigrationRequest(server_name="web")
