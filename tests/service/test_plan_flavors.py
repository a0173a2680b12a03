"""Flavors for a plan are made with it or not at all."""

from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from openstack import exceptions as sdk

from longshore.errors import AccessDenied, Conflict
from longshore.model.target import Flavor
from longshore.planning.proposal import FlavorGap
from longshore.providers.openstack.placement import Placement
from longshore.service.plan_flavors import made_flavors

GAPS = [FlavorGap(1, 256), FlavorGap(2, 512)]


class Clouds:
    """One target, which keeps its flavors."""

    def __init__(self, most=9):
        self.there = {}
        self.most = most

    @contextmanager
    def target(self, _provider):
        yield self

    def create_flavor(self, name, cpus, memory_mib):
        if len(self.there) == self.most:
            raise AccessDenied("No more.")
        self.there[name] = Flavor(name, name, cpus, memory_mib, 0)
        return self.there[name]

    def delete_flavor(self, flavor_id):
        del self.there[flavor_id]


def test_they_stay_with_the_plan():
    clouds = Clouds()
    with made_flavors(clouds, "cloud", GAPS) as made:
        assert [flavor.name for flavor in made] == list(clouds.there)
    assert len(clouds.there) == 2


def test_none_is_left_when_one_of_them_cannot_be_made():
    clouds = Clouds(most=1)
    with pytest.raises(AccessDenied, match="No more"), made_flavors(clouds, "cloud", GAPS):
        raise AssertionError("there is no plan")
    assert clouds.there == {}


def test_none_is_left_without_a_plan():
    clouds = Clouds()
    with pytest.raises(Conflict), made_flavors(clouds, "cloud", GAPS):
        raise Conflict("A plan named shop is there already.")
    assert clouds.there == {}


def test_one_that_its_project_may_not_use_is_not_left_in_the_cloud():
    compute = MagicMock()
    compute.flavors.return_value = []
    compute.create_flavor.return_value = SimpleNamespace(id="f-1")
    compute.flavor_add_tenant_access.side_effect = sdk.ForbiddenException("no", http_status=403)
    with pytest.raises(AccessDenied):
        Placement(MagicMock(compute=compute)).create_flavor("longshore-1c-256m", 1, 256)
    compute.delete_flavor.assert_called_once_with(compute.create_flavor.return_value, ignore_missing=True)
