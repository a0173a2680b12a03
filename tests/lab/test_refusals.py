"""What can't be done is said in one sentence, and leaves nothing behind on either side."""

import pytest

from conftest import USER, refused, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("nothing_left")]

TO = ["--from", "vc", "--to", "cloud"]
MAPPED = [*TO, "--network", "VM Network=private"]


@pytest.fixture
def cli(shared_cli):
    return shared_cli


def add_vcenter(cli, lab, name="other", **changes):
    options = {
        "--host": "vcenter.lab",
        "--username": USER,
        "--password-file": lab.vcenter_password_file,
        "--fingerprint": lab.fingerprint(),
    } | {f"--{key.replace('_', '-')}": value for key, value in changes.items()}
    words = [word for key, value in options.items() if value is not None for word in (key, value)]
    return cli("provider", "add", "vsphere", name, *words)


def assert_not_added(cli, name="other"):
    assert name not in [p["Name"] for p in cli.json("provider", "list")]


def test_a_wrong_vcenter_password(cli, lab, tmp_path):
    wrong = tmp_path / "password"
    wrong.write_text("certainly-not-it\n")
    said = refused(add_vcenter(cli, lab, password_file=wrong), USER)
    assert "certainly-not-it" not in said
    assert_not_added(cli)


def test_a_wrong_fingerprint(cli, lab):
    refused(add_vcenter(cli, lab, fingerprint=":".join(["AB"] * 32)), "fingerprint", lab.fingerprint())
    assert_not_added(cli)


def test_without_a_fingerprint_it_is_shown_and_has_to_be_confirmed(cli, lab):
    refused(add_vcenter(cli, lab, fingerprint=None), f"--fingerprint {lab.fingerprint()}")
    assert_not_added(cli)


def test_a_vcenter_that_is_not_there(cli, lab):
    refused(add_vcenter(cli, lab, host="127.0.0.99"), "127.0.0.99:443 refuses connections")
    assert_not_added(cli)


def test_a_password_file_that_is_not_there(cli, lab):
    refused(add_vcenter(cli, lab, password_file="/nonexistent/file"), "/nonexistent/file")
    assert_not_added(cli)


def test_a_cloud_that_is_not_in_clouds_yaml(cli):
    refused(cli("provider", "add", "openstack", "other", "--os-cloud", "nowhere"), "nowhere", "clouds.yaml")
    assert_not_added(cli)


def test_an_unknown_machine(cli):
    refused(cli("migrate", "nobody", *MAPPED, "--wait"), "nobody")


@pytest.mark.soak  # every day: tests/cli/test_command_line.py
def test_an_unknown_provider(cli):
    refused(cli("migrate", "tiny01", "--from", "nowhere", "--to", "cloud", "--wait"), "nowhere")


@pytest.mark.soak  # every day: tests/planning/test_preflight.py
def test_an_unmapped_network(cli):
    refused(cli("migrate", "tiny01", *TO, "--wait"), "VM Network", '--network "VM Network=TARGET"')


@pytest.mark.soak  # every day: tests/planning/test_preflight.py
def test_a_network_the_target_does_not_have(cli):
    refused(cli("migrate", "tiny01", *TO, "--network", "VM Network=nowhere", "--wait"), "nowhere", "private")


@pytest.mark.soak  # every day: tests/planning/test_preflight.py
def test_a_flavor_and_a_volume_type_the_target_does_not_have(cli):
    done = cli("migrate", "tiny01", *MAPPED, "--flavor", "huge", "--storage", "datastore1=gold", "--wait")
    refused(done, "huge", "gold")


def test_too_small_a_quota(cli, admin_cloud, cloud):
    project = cloud.current_project_id
    used = len(list(cloud.block_storage.volumes()))
    allowed = admin_cloud.block_storage.get_quota_set(project).volumes
    admin_cloud.block_storage.update_quota_set(project, volumes=used + 1)
    try:
        refused(cli("migrate", "tiny01", *MAPPED, "--wait"), "quota has room for 1 volume(s), tiny01 needs 2")
    finally:
        admin_cloud.block_storage.update_quota_set(project, volumes=allowed)


@pytest.mark.turns("alone")
@pytest.mark.alone
def test_storage_that_is_full(cli, tiny, sidedoor, full_storage):
    """Cinder itself finds that no backend has room: what preflight can't know. The source isn't touched."""
    refused(
        cli("migrate", tiny.name, *MAPPED, "--landing=unchanged", "--wait", "--plain"),
        "couldn't create volume",
        "free space",
    )
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"


@pytest.fixture
def full_storage(cloud, admin_cloud):
    """Thin volumes of somebody else's, until the backend has sold all that it may sell. What earlier tests have removed
    is room from its next report on: it is asked again after each, until nothing more is sold."""
    bought = []
    try:
        while more := list(sold(cloud, bought)):
            reported = last_report(admin_cloud)
            wait_for(lambda before=reported: last_report(admin_cloud) > before, 60, f"a report after {len(more)} sales")
        yield
    finally:
        for volume in bought:
            cloud.delete_volume(volume.id, wait=True)


def sold(cloud, bought):
    """Yield a volume for each size that the backend had room for, once it is among those bought."""
    for size in (64, 32, 16, 8, 4, 2, 1, 1):
        volume = cloud.block_storage.create_volume(size=size, name="somebody-elses")
        wait_for(lambda v=volume: status(cloud, v) in ("available", "error"), 60, "the scheduler's answer")
        if status(cloud, volume) == "available":
            bought.append(volume)
            yield volume
        else:
            cloud.delete_volume(volume.id, wait=True)


def last_report(admin_cloud):
    """Return when the scheduler was last told by a backend what room it has."""
    return max(pool.capabilities["timestamp"] for pool in admin_cloud.block_storage.backend_pools())


def status(cloud, volume):
    return cloud.block_storage.get_volume(volume).status


def test_a_guest_that_does_not_shut_down_keeps_running(cli, tiny, sidedoor):
    sidedoor.ignore_shutdown(tiny.name)
    try:
        done = cli("migrate", tiny.name, *MAPPED, "--landing=unchanged", "--shutdown-timeout", "5", "--wait")
    finally:
        sidedoor.ignore_shutdown(tiny.name, False)
    refused(done, "didn't shut down within 5 s", "--force-power-off")
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
