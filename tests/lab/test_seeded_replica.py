"""A machine whose application is frozen for its backup, and a replica that begins as that backup: in the lab."""

import json

import pytest
from test_protected_machines import SIZE, TO, replica_until

from conftest import target_inventory, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_a_replica_that_begins_as_a_backup_reads_what_has_changed_since(
    cli, tiny, sidedoor, cloud, tidy, tmp_path, tell
):
    before = target_inventory(cloud)
    assert cli("vault", "create", "offsite", str(tmp_path / "vault")).returncode == 0
    for name in ("freeze", "thaw"):
        kept = {"content": "{{ longshore.machine.name }}", "dest": f"{tmp_path}/{name}.done", "mode": "0600"}
        book = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"name": name, "copy": kept}]}]
        (tmp_path / f"{name}.yml").write_text(json.dumps(book))
    around = ("--before", str(tmp_path / "freeze.yml"), "--after", str(tmp_path / "thaw.yml"))
    words = (tiny.name, "--source", "vc", "--vault", "offsite", *around)
    checked = cli("backup", "check", *words, "-f", "json")
    assert "blocker" not in {one["Severity"] for one in json.loads(checked.stdout)}, checked.stdout
    done = cli("backup", "create", *words, "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    backup = json.loads(done.stdout)["result"]
    assert backup["consistency"] == "application"
    assert {(tmp_path / f"{name}.done").read_text() for name in ("freeze", "thaw")} == {tiny.name}

    seed = ("--seed-from", backup["point"], "--vault", "offsite")
    done = cli("replica", "create", tiny.name, *TO, "--every", "1h", *seed)
    assert done.returncode == 0, done.stderr
    shown = replica_until(cli, tiny.name, lambda shown: shown.points == 1, 300, "its first point")
    (first,) = shown.syncs
    tell(
        f"of a machine of {SIZE} bytes its backup has read {backup['bytes_read']}, "
        f"the first sync of a replica that begins as that {first['bytes_read']}"
    )
    assert 0 < first["bytes_read"] < backup["bytes_read"] / 4
    assert shown.audited_at is None
    assert cli("replica", "audit", tiny.name).returncode == 0
    audited = replica_until(cli, tiny.name, lambda shown: shown.points == 2, 300, "another point, of all that there is")
    assert [(one["hidden"], one["repaired"]) for one in audited.audits] == [({}, {})]
    assert not [point for point in cli.json("replica", "point", "list", tiny.name) if point.get("Suspect")]
    assert cli("replica", "delete", tiny.name).returncode == 0
    wait_for(lambda: target_inventory(cloud) == before, 120, "nothing to be left")
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
