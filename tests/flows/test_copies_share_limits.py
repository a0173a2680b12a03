"""A copy looks at the limits of all places that it belongs to, from its beginning on: also at those set later."""

from longshore.engine.limits import keep_limits, share_limits
from longshore.flows.moves.context import MoveContext
from longshore.model.limit import LimitOf, LimitPlace, id_of
from longshore.model.machine import Disk
from longshore.model.plan import PlanLimits
from longshore.store import NewMigration, Scope, StateDirectory, Store

DISK = Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds2] web/web.vmdk", "ds2")


def test_a_copy_belongs_to_its_project_plan_source_host_target_and_its_own_disks_datastore(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    anns = store.scoped(Scope("a"))
    vc, cloud = (anns.providers.add(name, "openstack", {}, {}).id for name in ("vc", "cloud"))
    plan = anns.plans.add("shop", {"name": "shop"}).id
    places = {"path": "web", "host": "esx1", "datastores": ["ds1", "ds2"]}
    new = NewMigration("web", "vm-1", vc, cloud, {}, plan_id=plan, places=places)
    [record] = anns.migrations.add_together([new])
    keep_limits(store, plan, PlanLimits(bytes_per_second=1 << 20))
    groups = MoveContext(store, record.id, clouds=None).limit_groups(DISK)

    def limited(place, project_id):
        store.limits.put(place, project_id, {"bytes_per_second": 1 << 30})
        return share_limits(store, [id_of(place, project_id)])[0]

    at_providers = [
        LimitPlace(LimitOf.SOURCE, vc),
        LimitPlace(LimitOf.HOST, vc, "esx1"),
        LimitPlace(LimitOf.DATASTORE, vc, "ds2"),
        LimitPlace(LimitOf.TARGET, cloud),
    ]
    own = [
        limited(place, "a")
        for place in (LimitPlace(LimitOf.PROJECT, "a"), LimitPlace(LimitOf.PLAN, plan), *at_providers)
    ]
    for_all = [limited(place, None) for place in at_providers]
    assert sorted(groups) == sorted([store.state.limits(plan), *own, *for_all])
    for elsewhere in (LimitPlace(LimitOf.DATASTORE, vc, "ds1"), LimitPlace(LimitOf.TARGET, vc)):
        assert limited(elsewhere, "a") not in groups
    store.close()
