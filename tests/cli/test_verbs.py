"""What those who come from elsewhere want to do has a command, with and without a server."""

from importlib.metadata import entry_points

import pytest

# As Trilio calls it, what it is called here, and as `openstack migration …`
VERBS = [
    ("vcenters-list", "provider list", "provider list"),
    ("migration-plans-list", "plan list", "plan list"),
    ("migration-plan-create", "plan create", "plan create"),
    ("migration-plan-discover-vms", "plan discover", "plan discover"),
    ("migration-plan-get-by-vmid", "plan find", "plan find"),
    ("migration-plan-get-import-list", "plan import list", "plan import list"),
    ("migration-plan-import", "plan import create", "plan import create"),
    ("migration-plan-modify", "plan set", "plan set"),
    ("migration-plan-show", "plan show", "plan show"),
    ("migration-plan-delete", "plan delete", "plan delete"),
    ("migrations-list", "migration list", "list"),
    ("migration-create", "migrate", "create"),
    ("migration-resume", "migration resume", "resume"),
    ("migration-show", "migration show", "show"),
    ("migration-cancel", "migration cancel", "cancel"),
    ("migration-delete", "migration delete", "delete"),
]


def command(group, name):
    [found] = entry_points(group=group, name=name.replace(" ", "_"))
    return found.load()


@pytest.mark.parametrize(("theirs", "ours", "plugins"), VERBS)
def test_each_verb_has_one_command_under_both_names(theirs, ours, plugins):
    assert command("longshore.cli", ours) is command("openstack.migration.v1", f"migration {plugins}"), theirs


def test_whatever_longshore_does_with_a_server_the_plugin_does():
    """What works on files, processes and images of this machine is the longshore command's alone."""
    here = {"api", "check", "converter", "copy", "migrate", "relay-image", "secrets", "server", "tenant", "web"}
    here |= {"node", "worker"}
    own = {e.name for e in entry_points(group="longshore.cli") if e.name.split("_")[0] not in here}
    plugins = {e.name for e in entry_points(group="openstack.migration.v1")}
    here_alone = {"backup_serve", "backup_mount", "backup_export"}
    missing = {name for name in own - here_alone if f"migration_{name.removeprefix('migration_')}" not in plugins}
    assert missing == set()
