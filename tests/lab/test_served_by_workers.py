"""A tenant's machine on its way through a server and workers on one PostgreSQL, while about everything is restarted.

One machine for all of it: what a plain tenant does from adding a vCenter to a machine that writes in the tenant's
project, a worker killed and PostgreSQL, RabbitMQ and Keystone away in the middle, a second tenant who sees nothing, and
passwords and tokens looked for wherever they could have got.
"""

import json
import os
import re
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from daemons import KEYSTONE, RABBITMQ
from moves import READY, assert_moved
from people import (
    AUTH_URL,
    Person,
    free_port,
    ready,
    refused_as_osc,
    register,
    service_user,
    stranger,
    unregister,
    without_cloud,
)
from secrecy import files, watch_processes, where_found

import postgresql as cluster_of_tests
from conftest import LONGSHORE, USER, refused, target_inventory, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.alone]  # Keystone and RabbitMQ are taken away from all
MINUTE = 60.0  # seconds that Keystone is away
LEASE = 12  # seconds; the default is longer, and costs nothing but patience


@dataclass
class Service:
    """As an operator runs it: one configuration for a server and any number of workers."""

    root: Path
    cluster: object
    database: str
    url: str
    password: str  # of the service user
    processes: dict = field(default_factory=dict)

    @property
    def config(self):
        return self.root / "longshore.toml"

    def start(self, name, *words):
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [LONGSHORE, "--config", self.config, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=without_cloud(),
            )
        return self.processes[name]

    def log(self, name):
        return self.root / "logs" / f"{name}.log"

    def with_it(self, migration):
        """Name of the worker that has this migration."""
        has = f"SELECT worker_id FROM jobs WHERE record_id = '{migration}' AND ended_at IS NULL"
        having = f"SELECT pid FROM workers WHERE id IN ({has})"
        found = self.cluster.query(self.database, having)
        pid = found[0][0] if found else None
        return next((name for name, process in self.processes.items() if process.pid == pid), None)

    def dump(self):
        """All that the database holds."""
        binary = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))[-1]
        address = self.database.replace("+psycopg", "")
        known = psycopg.conninfo.conninfo_to_dict(address)
        words = [binary, "-h", known["host"], "-p", known["port"], "-U", known["user"], known["dbname"]]
        passwords = self.root / "pgpass"  # not in the environment: that is looked at, too
        passwords.touch(0o600)
        passwords.write_text(f"*:*:*:*:{known['password']}")
        done = subprocess.run(words, capture_output=True, env={**os.environ, "PGPASSFILE": str(passwords)})
        assert done.returncode == 0, done.stderr
        assert b"COPY public.secrets" in done.stdout
        return done.stdout

    def end(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(90)


@pytest.fixture
def service(tmp_path, lab, admin_cloud, postgresql):
    """A server and two workers, in the catalogue."""
    root, port = tmp_path / "operator", free_port()
    (root / "logs").mkdir(parents=True)
    with service_user(admin_cloud.identity) as (name, password):
        service = Service(root, postgresql, postgresql.database(), f"http://127.0.0.1:{port}", password)
        (root / "keystone.password").write_text(password)
        service.config.write_text(
            f'database_url = "{service.database}"\nstate = "{tmp_path / "state"}"\n'
            f"lease_ttl = {LEASE}\nlease_beat = {LEASE / 4}\ndrain_for = 5\n"
            f'[server]\nport = {port}\nvddk_libdir = "{lab.vddk}"\nreach_allowed = ["127.0.0.0/8"]\n'
            f'[server.keystone]\nauth_url = "{AUTH_URL}"\nusername = "{name}"\n'
            f'password_file = "{root / "keystone.password"}"\n'
        )
        try:
            server = service.start("server", "server")
            wait_for(lambda: ready(server, service.url, service.log("server")), 90, "the server to be ready")
            done = register(service.config)
            assert done.returncode == 0, done.stderr
            for worker in ("worker1", "worker2"):
                service.start(worker, "worker")
                wait_for(lambda w=worker: "takes 8 migrations" in service.log(w).read_text(), 90, "a worker")
            yield service
        finally:
            service.end()
            unregister(admin_cloud.identity)


def copied(shown):
    """MiB of the disk that is read slowly, as the user was told last."""
    told = re.findall(r"Hard disk 2: ([\d.]+) MiB of", shown.read_text())
    return float(told[-1]) if told else 0.0


@pytest.mark.turns("alone")
def test_a_tenants_machine_arrives_through_a_server_and_workers_whatever_is_restarted(
    tidy, service, lab, tiny, sidedoor, cloud, admin_cloud, tmp_path, tell
):
    ann, wrong = Person({"OS_CLOUD": "lab"}), f"Wrong-{uuid.uuid4().hex}"
    secrets = [service.password, lab.vcenter_password, lab.tenant_password, wrong, cluster_of_tests.PASSWORD]
    watched = watch_processes(secrets)
    before = target_inventory(cloud)
    times = {}

    # Adding clouds, once with a password that is wrong
    (tmp_path / "wrong").write_text(wrong)
    vcenter = ("migration", "provider", "add", "vsphere", "vc", "--host", "vcenter.lab", "--username", USER)
    pinned = ("--fingerprint", lab.fingerprint())
    refused_as_osc(ann(*vcenter, "--password-file", tmp_path / "wrong", *pinned), "incorrect user name or password")
    ann.did(*vcenter, "--password-file", lab.vcenter_password_file, *pinned)
    ann.did("migration", "provider", "add", "openstack", "cloud")

    sidedoor.set_read_speed(tiny.name, 2001, 1)
    shown = tmp_path / "shown"
    try:
        wanted = ("--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged")
        id_ = ann.json("migration", "create", tiny.name, *wanted, "--boot-mark", READY)["id"]
        watching = ann.start("migration", "wait", id_, "--plain", shown=shown)
        wait_for(lambda: copied(shown) > 8, 120, "the copy to be on its way")
        dumped = service.dump()

        # Keystone is away, and a worker dies: the other one can't go on without a token
        first, at = service.with_it(id_), time.monotonic()
        with KEYSTONE.away():
            service.processes[first].send_signal(signal.SIGKILL)
            wait_for(lambda: service.with_it(id_) not in (None, first), 60, "the other worker to take over")
            times["taken over from a killed worker"] = time.monotonic() - at
            second = service.with_it(id_)
            wait_for(lambda: "Waiting for cloud to answer" in shown.read_text(), 60, "the user to be told")
            asked = ann("migration", "list", program=LONGSHORE, LONGSHORE_URL=service.url)
            refused(asked, "Keystone doesn't answer")
            time.sleep(max(10.0, MINUTE - (time.monotonic() - at)))
            assert watching.poll() is None, shown.read_text()
        times["Keystone was away"] = time.monotonic() - at
        wait_for(lambda: "cloud answers again after" in shown.read_text(), 60, "the copy to go on")
        went_on = copied(shown)
        wait_for(lambda: copied(shown) > went_on, 120, "the copy to move")

        # PostgreSQL is restarted, as by a power cut
        seen, at = copied(shown), time.monotonic()
        service.cluster.stop()
        time.sleep(1)
        service.cluster.start()
        wait_for(lambda: copied(shown) > seen, 120, "the copy to be seen to go on")
        times["PostgreSQL was away, until the copy was seen to go on"] = time.monotonic() - at

        # RabbitMQ is restarted, and what comes next needs it
        at = time.monotonic()
        RABBITMQ.end()
        RABBITMQ.start()
        sidedoor.clear_trouble()
        times["RabbitMQ was away"] = time.monotonic() - at
        assert watching.wait(400) == 0, shown.read_text()
    finally:
        sidedoor.clear_trouble()
    told = shown.read_text()

    # It has arrived, whole, and once
    done = ann.json("migration", "show", id_)
    assert done["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, done)
    now = target_inventory(cloud)
    made = {kind: len(now[kind] - before[kind]) for kind in now}
    assert made == {"servers": 1, "volumes": 2, "snapshots": 0, "attachments": 2, "ports": 1}
    assert {entry["State"] for entry in ann.json("migration", "ledger", id_)} == {"handed-over", "removed"}
    assert service.processes[first].poll() == -signal.SIGKILL
    assert service.processes[second].poll() is None, "it lived through all of it"
    report = ann.did("migration", "report", id_)
    assert watched() == []

    with stranger(admin_cloud.identity) as bob:
        assert bob.json("migration", "list") == []
        assert bob.json("migration", "provider", "list") == []
        for words in (("show", id_), ("events", id_), ("ledger", id_), ("report", id_), ("cancel", id_)):
            refused_as_osc(bob("migration", *words), "There is no migration")
        assert {server.id for server in cloud.compute.servers()} >= {done["server_id"]}
        secrets.append(bob.environment["OS_PASSWORD"])
        read = ann.read + bob.read
    broken = tmp_path / "broken.toml"
    broken.write_text(service.config.read_text().replace("@127.0.0.1:", "@127.0.0.1:port"))
    unusable = subprocess.run([LONGSHORE, "--config", broken, "worker"], capture_output=True, text=True)
    assert unusable.returncode == 1
    assert "The database's address isn't one" in unusable.stderr
    assert "Traceback" not in unusable.stderr
    service.end()

    places = files(service.root / "logs", tmp_path / "state") | {"postgresql": service.cluster.log.read_bytes()}
    assert {"server.log", "worker1.log", "worker2.log"} <= {Path(place).name for place in places}
    places |= {"dumped in the middle": dumped, "dumped at the end": service.dump(), "report": report.encode()}
    places |= {"what they read": "\n".join([told, *read, unusable.stderr, json.dumps(done)]).encode()}
    assert where_found(places, secrets) == []
    assert where_found({"to see that it would be found": dumped + secrets[0].encode()}, secrets) != []
    tell("\n".join(f"{what}: {seconds:.1f} s" for what, seconds in times.items()))
