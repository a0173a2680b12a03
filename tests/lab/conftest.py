"""The running lab as tests see it. These tests run inside it: lab/lab run .venv/bin/pytest -m lab.

Four of them may run side by side (`-n 4`), as lanes.py says. A test that takes away what all need is marked
`alone`, and so is the longest.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import openstack
import pytest
import yaml
from lanes import PROJECT, SECOND_HOST, SECOND_VCENTER, InGroups, second_vcenter

sys.path.insert(0, str(PROJECT / "lab" / "vcenter"))
sys.path.insert(0, str(PROJECT / "lab" / "guests"))

LONGSHORE = PROJECT / ".venv" / "bin" / "longshore"
USER = "administrator@vsphere.local"
SLOWER = 3  # times: four lanes of emulated guests share two processors, and others may slow these down


@dataclass(frozen=True)
class Lab:
    """The lab as a module's tests see it: by its lane, the first vCenter and `demo` or the second and its project."""

    root: Path
    vcenter: str = "vcenter.lab"

    @property
    def clouds_file(self):
        """Return the file with this lane's project as `lab`."""
        return self.root / "etc" / "clouds.yaml"

    @property
    def cloud(self):
        """Return the entry `lab`: where the project is and how its plain member logs in."""
        return yaml.safe_load(self.clouds_file.read_text())["clouds"]["lab"]

    @property
    def vcenter_certificate(self):
        return self.root / "etc" / "vcenter.crt"

    @property
    def vcenter_password_file(self):
        return self.root / "etc" / "vcenter.password"

    @property
    def vcenter_password(self):
        return self.vcenter_password_file.read_text().strip()

    @property
    def tenant_password(self):
        return self.cloud["auth"]["password"]

    @property
    def vddk(self):
        return self.root / "run" / "disklib"

    @property
    def ssh(self):
        """Return the key that the ESXi hosts let in (id_ed25519), and their own as their consoles show them
        (known_hosts)."""
        return self.root / "etc" / "esx"

    def fingerprint(self):
        """Return the fingerprint as a careful user would get it: from the server's own certificate, not over the
        network."""
        shown = subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", self.vcenter_certificate],
            check=True,
            capture_output=True,
            text=True,
        )
        return shown.stdout.partition("=")[2].strip()


@pytest.fixture(scope="session")
def the_lab():
    """The lab's own directory, whichever lane a test is in."""
    root = os.environ.get("LONGSHORE_LAB")
    if root is None or not Path(root, "run").is_dir():
        pytest.fail("these tests run inside the lab: lab/lab run .venv/bin/pytest -m lab")
    return Path(root)


@pytest.fixture(scope="session")
def second_lane(the_lab, the_lab_to_ourselves, admin_cloud):
    with second_vcenter(the_lab, admin_cloud) as root:
        yield Lab(root, SECOND_HOST)


@pytest.fixture(scope="module")
def lab(request, the_lab):
    return request.getfixturevalue("second_lane") if request.path.stem in SECOND_VCENTER else Lab(the_lab)


def pytest_xdist_make_scheduler(config, log):
    return InGroups(config, log)


@pytest.fixture(scope="session", autouse=True)
def the_lab_to_ourselves(the_lab):
    """Have the lab to ourselves: tests order faults and compare inventories, and two runs in one lab would disturb each
    other, so one waits."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    path = the_lab / "run" / "tests.lock"
    with path.open("a+") as lock:
        told = False
        while not _is_ours(lock, run):
            if not told:
                print("waiting for another test run in this lab", file=sys.__stderr__, flush=True)
                told = True
            time.sleep(1)
        yield


def _is_ours(lock, run):
    """Tell whether this run has the lab: nobody else holds the file, or others of this run do. Keeps a shared lock
    then."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        lock.seek(0)
        lock.truncate()
        lock.write(run)
        lock.flush()
    fcntl.flock(lock, fcntl.LOCK_SH)
    lock.seek(0)
    if lock.read() == run:
        return True
    fcntl.flock(lock, fcntl.LOCK_UN)
    return False


@pytest.fixture
def tell(record_property):
    """Return a function that tells with a test's result what it has measured, also when it runs in another process."""
    return lambda text: record_property("told", text)


def pytest_runtest_logreport(report):
    if report.when == "call" and "PYTEST_XDIST_WORKER" not in os.environ:
        for name, text in report.user_properties:
            if name == "told":
                print(f"\n{text}", file=sys.__stdout__, flush=True)


@pytest.fixture(scope="module")
def sidedoor(lab):
    from sidedoor_client import SideDoor

    return SideDoor(lab.root / "run" / "vcenter-side.sock")


@pytest.fixture(scope="module")
def cloud(lab):
    """Yield the target as its plain member sees it."""
    with openstack.connect(load_yaml_config=False, load_envvars=False, **lab.cloud) as connection:
        yield connection


@pytest.fixture(scope="session")
def admin_cloud(the_lab):
    connection = openstack.connect(cloud="lab-admin")
    yield connection
    connection.close()


def target_inventory(cloud):
    """Return everything of the project that a migration could leave behind."""
    return {
        "servers": {s.id for s in cloud.compute.servers()},
        "volumes": {(v.id, v.status) for v in cloud.block_storage.volumes()},
        "snapshots": {s.id for s in cloud.block_storage.snapshots()},
        "attachments": {a.id for a in cloud.block_storage.attachments()},
        "ports": {p.id for p in cloud.network.ports() if not (p.device_owner or "").startswith("network:")},
    }


@pytest.fixture
def nothing_left(cloud, sidedoor):
    """Both sides are the same after the test as before it."""
    before = target_inventory(cloud), sidedoor.fingerprint()
    yield
    assert (target_inventory(cloud), sidedoor.fingerprint()) == before


@dataclass
class Cli:
    """The command, as a user runs it, with a state directory of its own. `inside`: what runs it elsewhere."""

    state: Path
    environment: dict = field(default_factory=dict)
    inside: tuple = ()

    def __call__(self, *words, timeout=900, **environment):
        return subprocess.run(
            [*self.inside, LONGSHORE, "--state", self.state, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **self.environment, **environment},
        )

    def json(self, *words, timeout=900):
        done = self(*words, "-f", "json", timeout=timeout)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *words):
        return subprocess.Popen(
            [*self.inside, LONGSHORE, "--state", self.state, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def engine_pid(self):
        return int((self.state / "engine.pid").read_text())


def refused(done, *words):
    """Check a refusal as users deserve it: an exit code, no traceback, at its end a line for each reason with these
    words."""
    assert done.returncode != 0
    assert done.stderr.strip(), "it failed without a word"
    assert "Traceback" not in done.stderr
    _, begin, said = f"\n{done.stderr}".rpartition("\nlongshore: ")
    assert begin, done.stderr
    for word in words:
        assert word in said, f"{word!r} is missing in: {said}"
    return said


def with_both_clouds(state, lab, reading=None):
    """Make a command with both clouds. `reading`: how the vCenter's disks are read; None: by the disk library."""
    cli = Cli(state)
    add_vcenter = ["provider", "add", "vsphere", "vc", "--host", lab.vcenter, "--username", USER]
    add_vcenter += ["--password-file", lab.vcenter_password_file, "--fingerprint", lab.fingerprint()]
    for done in (
        cli(*add_vcenter, *(reading or ("--vddk-libdir", lab.vddk))),
        cli("provider", "add", "openstack", "cloud", "--os-cloud", "lab", OS_CLIENT_CONFIG_FILE=str(lab.clouds_file)),
    ):
        assert done.returncode == 0, done.stderr
    return cli


@pytest.fixture(scope="module")
def shared_cli(tmp_path_factory, lab):
    """Yield a command with both lab clouds added; for tests that only ask, or whose migrations are their own."""
    cli = with_both_clouds(tmp_path_factory.mktemp("shared") / "state", lab)
    yield cli
    end_engine(cli)


@pytest.fixture
def cli(tmp_path, lab):
    """Yield a command with both lab clouds added, and no migration yet."""
    cli = with_both_clouds(tmp_path / "state", lab)
    yield cli
    end_engine(cli)


def end_engine(cli):
    """An engine that a failed test left running is ended, so that it doesn't disturb the tests after it."""
    pid_file = cli.state / "engine.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and str(cli.state) in command.read_text():
            os.kill(pid, 9)


@dataclass(frozen=True)
class Guest:
    """A machine in the lab's vCenter with the writer inside."""

    name: str
    mac: str


@contextmanager
def running_tiny(sidedoor, lab):
    """Yield a tiny machine of its own, running and writing."""
    name = f"tiny-{uuid.uuid4().hex[:8]}"
    mac = f"00:50:56:3f:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    sidedoor.add_machine("tiny01", name, nics=[{"network": "VM Network", "mac": mac}])
    power_on(lab, name)
    wait_for(lambda: last_acknowledged(sidedoor.console(name)) > 3, 120, f"{name} to write")
    yield Guest(name, mac)
    sidedoor.remove_machines(name)


@pytest.fixture
def tiny(sidedoor, lab):
    """Yield a tiny machine of the test's own."""
    with running_tiny(sidedoor, lab) as guest:
        yield guest


@pytest.fixture
def pair(sidedoor, lab):
    """Two tiny machines of the test's own, running and writing."""
    mark = uuid.uuid4().hex[:6]
    guests = [Guest(f"pair-{mark}-{n}", f"00:50:56:3e:{mark[:2]}:{mark[2:3]}{n}") for n in (1, 2)]
    for guest in guests:
        sidedoor.add_machine("tiny01", guest.name, nics=[{"network": "VM Network", "mac": guest.mac}])
        power_on(lab, guest.name)
    for guest in guests:
        wait_for(lambda g=guest: last_acknowledged(sidedoor.console(g.name)) > 3, 120, f"{guest.name} to write")
    yield guests
    sidedoor.remove_machines(*[guest.name for guest in guests])


@contextmanager
def in_vcenter(lab, name):
    """The machine as an operator has it there, and what waits for a task of its."""
    import ssl

    from pyVim.connect import Disconnect, SmartConnect
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    context = ssl.create_default_context(cafile=lab.vcenter_certificate)
    si = SmartConnect(host=lab.vcenter, user=USER, pwd=lab.vcenter_password, sslContext=context)
    try:
        content = si.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        yield next(m for m in view.view if m.name == name), lambda task: WaitForTask(task, si=si)
    finally:
        Disconnect(si)


def power_on(lab, name):
    with in_vcenter(lab, name) as (machine, wait):
        if machine.runtime.powerState != "poweredOn":
            wait(machine.PowerOnVM_Task())


def last_acknowledged(console):
    import console as writer

    return writer.read(console).last_acknowledged


def wait_for(condition, seconds, what):
    """Wait for something. `seconds`: as long as it may take on a machine that does nothing else."""
    seconds *= SLOWER
    began = time.monotonic()
    end = began + seconds
    while not condition():
        now = time.monotonic()
        assert now < end, f"waited {seconds} s in vain for {what}"
        time.sleep(max(0.5, now - began))  # to ask may be a command, which shall not take the processor from what works
        began = time.monotonic()


@pytest.fixture
def tidy(cloud, tmp_path):
    """Servers that a test has moved are removed with all that belongs to them.

    What else is left is a fault, and is removed, too, so that the next test hasn't got it: volumes and snapshots that
    the test's own installations have made.
    """
    from moves import remove_made, remove_server

    before = target_inventory(cloud)
    yield
    for server in target_inventory(cloud)["servers"] - before["servers"]:
        remove_server(cloud, server)
    try:
        wait_for(lambda: target_inventory(cloud) == before, 60, "the target to be as before")
    except AssertionError:
        for database in tmp_path.rglob("longshore.db"):
            end_engine(Cli(database.parent))
            remove_made(cloud, database)
        raise


@contextmanager
def booted_afresh(guest, sidedoor, lab, cloud):
    """Yield a machine of the inventory, booted afresh. A server that is its copy, from a demo perhaps, has the same
    MAC: it goes first."""
    from moves import remove_server

    for server in cloud.compute.servers(name=f"^{guest.name}$"):
        remove_server(cloud, server.id)
    sidedoor.reset_machine(guest.name)
    power_on(lab, guest.name)
    try:
        yield guest
    finally:
        sidedoor.reset_machine(guest.name)


@pytest.fixture(scope="module")
def web01(sidedoor, lab, cloud):
    """Yield the Debian guest with a BIOS, booted afresh."""
    with booted_afresh(Guest("web01", "00:50:56:ab:cd:01"), sidedoor, lab, cloud) as guest:
        yield guest
