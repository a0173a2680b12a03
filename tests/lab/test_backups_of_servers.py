"""A server in a vault in a bucket: both disks of one moment, and made again elsewhere by whoever has that vault."""

import json
import shutil
import threading
import time

import pytest
from buckets import gateway
from moves import READY, remove_server, seen_on, state_of
from test_openstack_source import app, as_it_is, cli, flavors, sides

from conftest import Cli, end_engine, last_acknowledged, refused, wait_for

__all__ = ["app", "cli", "flavors", "sides"]  # fixtures

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:::openstack")]

WAIT = ("--wait", "--plain")


class Frozen:
    """How long a guest with an agent is frozen: by what it says on its console, as its compute node writes it down."""

    def __init__(self, lab, server):
        self._console = lab.root / "data" / "nova" / "instances" / server.id / "console.log"
        self._end = threading.Event()
        self._seen = {}
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _look(self):
        with self._console.open("rb") as console:
            console.seek(0, 2)
            text = b""
            while not self._end.wait(0.01):
                text = text[-200:] + console.read()
                for word in ("freeze", "thaw"):
                    if f"agent {word}".encode() in text:
                        self._seen.setdefault(word, time.monotonic())

    @property
    def seconds(self):
        return self._seen["thaw"] - self._seen["freeze"]


@pytest.fixture
def back(sides):
    """Another network, with other addresses, in the project that is restored to."""
    network = sides[1].cloud.network
    made = network.create_network(name="back")
    network.create_subnet(name="back", network_id=made.id, ip_version=4, cidr="10.72.0.0/24")


def told_by(cli, *words):
    done = cli(*words, *WAIT, "-f", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def has_run(cli, policy):
    """Its one backup, once that has ended."""

    def ended():
        return (cli.json("backup", "policy", "show", policy)["run"] or {}).get("ended_at")

    before = ended()
    done = cli("backup", "policy", "run", policy)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: ended() not in (None, before), 300, "the policy to have run")
    (one,) = cli.json("backup", "policy", "show", policy)["run"]["backups"]
    assert one["state"] == "done", one
    return state_of(cli, one["migration"])


@pytest.mark.turns("protection")
@pytest.mark.usefixtures("back")
def test_what_a_policy_has_backed_up_is_enough_when_all_else_is_gone(
    cli, sides, app, lab, the_lab, admin_cloud, tmp_path, tell
):
    here, there, clouds = sides
    phrase = tmp_path / "phrase"
    phrase.write_text("words of the servers' vault\n")
    with gateway(the_lab) as bucket:
        opens = (*bucket.words, "--pass-phrase-file", str(phrase))
        done = cli("vault", "create", "away", bucket.url, *opens)
        assert done.returncode == 0, done.stderr
        words = ("--source", "here", "--vault", "away", "--machine", "app")
        done = cli("backup", "policy", "create", "nightly", *words, "--schedule", "daily 02:00 UTC", "--keep", "last=5")
        assert done.returncode == 0, done.stderr
        with Frozen(lab, app) as frozen:
            first = has_run(cli, "nightly")
        tell(f"frozen for {frozen.seconds:.2f} s")
        acknowledged = last_acknowledged(here.console(app))
        second = has_run(cli, "nightly")
        later = last_acknowledged(here.console(app)) + 100
        for one in (first, second):
            tell(f"{one['type']}: {one['result']}")
            assert one["result"]["consistency"] == "file systems"
        assert second["result"]["base"] == first["result"]["point"]
        assert second["result"]["bytes_read"] < first["result"]["bytes_read"] / 4
        assert len(list(here.cloud.block_storage.snapshots())) == 2  # one of each volume, for the next backup
        assert cli("migration", "cleanup", second["id"]).returncode == 0
        end_engine(cli)
        shutil.rmtree(cli.state)

        elsewhere = Cli(tmp_path / "elsewhere", {"OS_CLIENT_CONFIG_FILE": str(clouds)})
        try:
            with_nothing_but_the_vault(elsewhere, sides, bucket, opens)
            refused_with_nothing_made(elsewhere, sides, admin_cloud, second["result"]["point"])
            began = time.monotonic()
            words = ("--target", "there", "--network", "front=back", "--boot-mark", READY)
            restored = told_by(elsewhere, "restore", "create", "app", "--vault", "away", *words)
            tell(f"restored to another project in {time.monotonic() - began:.1f} s")
            seen = seen_on(there.cloud, restored["server_id"])
            assert (seen.verified.bad, acknowledged <= seen.verified.last <= later) == (0, True)
            assert seen.verified.root - seen.verified.data in (0, 1)  # as of one moment: the root disk is written first
            (port,) = there.cloud.network.ports(device_id=restored["server_id"])
            assert there.cloud.network.get_network(port.network_id).name == "back"
            # All of it is as it was backed up: by its digests, which the first backup has taken of all
            words = (first["result"]["point"], "--vault", "away", "--target", "there")
            volumes = told_by(elsewhere, "restore", "volumes", *words)
            for row, disk in zip(volumes, first["disks"], strict=True):
                (again,) = state_of(elsewhere, row["Migration"])["disks"]
                assert (again["root_digest"], again["size"]) == (disk["root_digest"], disk["size"])
                there.cloud.block_storage.delete_volume(row["New volume"])
            remove_server(there.cloud, restored["server_id"])
        finally:
            end_engine(elsewhere)


def with_nothing_but_the_vault(cli, sides, bucket, opens):
    """An installation elsewhere learns of the policy and of its points."""
    done = cli("provider", "add", "vault", "away", "--url", bucket.url, *opens)
    assert done.returncode == 0, done.stderr
    assert len(cli.json("backup", "list", "--vault", "away")) == 2
    early = cli("vault", "import", "away", "-f", "json")
    (row,) = json.loads(early.stdout)
    assert (early.returncode, row["Outcome"], "here" in row["Problem"]) == (1, "refused", True), row
    for project, name in zip(sides[:2], ("home", "there"), strict=True):
        done = cli("provider", "add", "openstack", name, "--os-cloud", project.name)
        assert done.returncode == 0, done.stderr
    (row,) = cli.json("vault", "import", "away", "--source", "here=home")
    assert (row["Name"], row["Points"], row["Outcome"]) == ("nightly", 2, "made")
    policy = cli.json("backup", "policy", "show", "nightly")
    assert (policy["source"], policy["paused"], len(policy["points"])) == ("home", True, 2)


def refused_with_nothing_made(cli, sides, admin_cloud, point):
    """What can't be restored is said first."""
    here, there, _ = sides
    before = as_it_is(here), as_it_is(there)
    restore = ("restore", "create", "--vault", "away")
    words = ("--network", "front=back", "--boot-mark", READY)
    refused(cli(*restore, "nobody", "--target", "there", *words), "nobody")
    refused(cli(*restore, point, "--target", "there", "--network", "front=nowhere"), "nowhere")
    refused(cli(*restore, point, "--target", "home"), "in use")  # its own network, by its name
    refused(cli(*restore, point, "--target", "away", *words), "away")
    path = f"/os-quota-sets/{there.cloud.current_project_id}"
    known = admin_cloud.block_storage.get(path).json()["quota_set"]["volumes"]
    for room, refusal in ((1, ("volumes",)), (known, None)):
        assert admin_cloud.block_storage.put(path, json={"quota_set": {"volumes": room}}).ok
        if refusal:
            refused(cli(*restore, point, "--target", "there", *words), *refusal)
    assert (as_it_is(here), as_it_is(there)) == before
