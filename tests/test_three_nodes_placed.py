"""Three nodes set up word for word as docs/howto/three-nodes.md says, each a bare Debian 12 with systemd.

A fourth machine is one's own, from which they are reached by ssh. Debian's mirror and the package index are asked by a
proxy, since the machines' network leads nowhere. What each step takes is printed.
"""

import json
import shutil
import subprocess
import sys
import time
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager

import pytest

from booted import Booted, until
from packaged import ROOT, as_root, made, root, typed

pytestmark = [*as_root(5400), pytest.mark.soak]
PAGE = "three-nodes"
PREFIX = "lsplaced"  # of namespaces of the network
NODES = {f"node{n}": f"192.0.2.1{n}" for n in (1, 2, 3)}
OWN, CLOUD, VIRTUAL = "192.0.2.5", "192.0.2.6", "192.0.2.97"
PROXY = f"http://{CLOUD}:3128"
UNITS = ("etcd", "patroni", "haproxy", "keepalived", "longshore-server", "longshore-worker")
LATE = 20  # seconds after its start in which a machine has no address, as when the switch starts, too
PYTHON = "/usr/lib/longshore/bin/python3"
WORKER = f"""[Service]
ExecStart=
ExecStart={PYTHON} /tests/nodes/node_worker.py /etc/longshore/longshore.toml /srv/longshore/fleets
"""
CLOUDS = """clouds:
  admin:
    auth: {auth_url: "https://cloud.example:5000/v3", username: admin, password: admin's, project_name: admin,
           user_domain_name: Default, project_domain_name: Default}
    region_name: R
    cacert: /root/trusted.pem
"""


@contextmanager
def took(what):
    begun = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begun:.0f} s", flush=True)


# The network


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def plug(name):
    """Give a machine a network of its own, which it has as long as it has power."""
    own, switch = f"{PREFIX}-{name}", f"{PREFIX}-switch"
    ip("netns", "add", own)
    ip("-n", switch, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", own)
    ip("-n", switch, "link", "set", name, "master", "br0", "up")
    ip("-n", own, "link", "set", "eth0", "up")
    ip("-n", own, "link", "set", "lo", "up")


def give(name, address):
    ip("-n", f"{PREFIX}-{name}", "address", "add", f"{address}/24", "dev", "eth0")


def unplug(name):
    ip("-n", f"{PREFIX}-switch", "link", "del", name, check=False)
    ip("netns", "del", f"{PREFIX}-{name}", check=False)


@contextmanager
def network():
    """Raise a switch with all machines at it."""
    machines = {**NODES, "own": OWN, "cloud": CLOUD}
    try:
        ip("netns", "add", f"{PREFIX}-switch")
        ip("-n", f"{PREFIX}-switch", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
        ip("-n", f"{PREFIX}-switch", "link", "set", "br0", "up")
        for name, address in machines.items():
            plug(name)
            give(name, address)
        yield
    finally:
        for name in (*machines, "switch"):
            unplug(name)


def started(name, script, *arguments):
    """Run a script of these tests beside a machine, on its network."""
    words = ["ip", "netns", "exec", f"{PREFIX}-{name}", sys.executable, ROOT / "tests/nodes" / script, *arguments]
    return subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said_by(process):
    return json.loads(process.communicate("\n")[0])


@contextmanager
def cloud(directory):
    """Have a Keystone answer as cloud.example, and a proxy beside it; yield the file of whom to trust."""
    key, certificate = directory / "cloud.key", directory / "cloud.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=cloud.example"]
    make += ["-addext", "subjectAltName=DNS:cloud.example", "-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True)
    keystone = started("cloud", "node_keystone.py", CLOUD, "5000", "https://cloud.example:5000", certificate, key)
    forward = [sys.executable, ROOT / "tests/forwarded.py", f"{PREFIX}-cloud", CLOUD, "3128"]
    with keystone, subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as forwarded:
        try:
            assert forwarded.stdout.readline() == "listens\n"
            yield certificate
        finally:
            forwarded.kill()
            keystone.kill()


# Machines


def run(machine, command):
    """Return what a command says there, which has to end well."""
    said, _, status = machine.on(f"cd /root; {command}\necho $?").rpartition("\n")
    assert status == "0", f"{command}: {said[-4000:]}"
    return said


def furnish(machine, name, key, trusted):
    """Give a machine its names, and what it needs of this one to install something."""
    etc = machine.root / "etc"
    (etc / "hostname").write_text(f"{name}\n")
    hosts = [("127.0.0.1", "localhost"), (CLOUD, "cloud.example"), (VIRTUAL, "longshore.example")]
    (etc / "hosts").write_text("".join(f"{address} {host}\n" for address, host in hosts))
    (etc / "apt/apt.conf.d/here").write_text(
        f'Acquire::http::Proxy "{PROXY}";\nAPT::Get::Assume-Yes "true";\n'
        'Binary::apt::APT::Keep-Downloaded-Packages "true";\n'
    )
    # Which index this machine asks, and whom it trusts
    pip = ConfigParser()
    pip.read("/etc/pip.conf")
    pip.read_dict({"global": {"proxy": PROXY, "cert": "/etc/trusted.pem"}})
    with (etc / "pip.conf").open("w") as file:
        pip.write(file)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", etc / "trusted.pem")
    authorities = machine.root / "usr/local/share/ca-certificates"
    authorities.mkdir(parents=True, exist_ok=True)
    shutil.copy(trusted, authorities / "cloud.crt")
    (etc / "systemd/system/console-getty.service").symlink_to("/dev/null")  # it has no console
    ssh = machine.root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    if name == "own":
        shutil.copy(key, ssh / "id_ed25519")
        (ssh / "config").write_text("StrictHostKeyChecking accept-new\n")
    else:
        shutil.copy(key.with_suffix(".pub"), ssh / "authorized_keys")


@pytest.fixture
def machines(tmp_path):
    """Yield one's own machine as `own`, and three nodes: with what the page says is needed."""
    with took("packages"):
        made(tmp_path / "packages", "none")
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "shared").mkdir()
    (tmp_path / "archives").mkdir()
    bound = {"/packages": tmp_path / "packages", "/var/cache/apt/archives": tmp_path / "archives"}
    of_nodes = {"/srv/longshore": tmp_path / "shared", "/tests": ROOT / "tests"}
    (_, install) = typed("Debian packages")
    with network(), cloud(tmp_path) as trusted, ExitStack() as stack:
        found = {}
        for name in ("own", *NODES):
            (tmp_path / name).mkdir()
            more = {} if name == "own" else of_nodes
            machine = Booted(root("bare"), tmp_path / name, bound | more, f"{PREFIX}-{name}")
            furnish(machine, name, key, trusted)
            with took(f"{name} boots"):
                found[name] = stack.enter_context(machine)
            with took(f"{name} has Longshore"):
                run(machine, "apt-get update -q")
                if name == "own":
                    run(machine, "apt install openssh-client rsync && cd /packages && apt install ./longshore_*.deb")
                else:
                    run(machine, "apt install openssh-server rsync")
                    for command in (*install, "apt install ./longshore-worker_*.deb"):
                        run(machine, f"cd /packages && {command}")
                run(machine, "update-ca-certificates")
        yield found


def test_three_nodes_are_set_up_by_the_page_and_outlive_the_primary_s_power(machines, tmp_path):
    own = machines["own"]
    nodes = {name: machines[name] for name in NODES}
    ((prepare,), (take, place, register)) = typed("Set it up", PAGE, "$")[:2]

    def type_in(command, name):
        """Type what the page says of node1, for that node."""
        run(own, command.replace("node1", name).replace("192.0.2.11", NODES[name]))

    # As the page says: files are written, completed, taken there and placed
    with took("node prepare"):
        run(own, prepare)
    for name, machine in nodes.items():
        files = own.root / f"root/nodes/{name}/files/etc/longshore"
        (files / "keystone.password").write_text("service")
        with (files / "longshore.toml").open("a") as file:
            file.write("\n[server.quotas]\nlimits = 100000\n")
        worker = machine.root / "etc/systemd/system/longshore-worker.service.d/small.conf"
        worker.parent.mkdir()
        worker.write_text(WORKER)
        for what, command in (("taken there", take), ("placed", place)):
            with took(f"{name} is {what}"):
                type_in(command, name)
    (own.root / "root/.config/openstack").mkdir(parents=True)
    (own.root / "root/.config/openstack/clouds.yaml").write_text(CLOUDS)
    authority = own.root / "root/nodes/node1/files/etc/longshore/tls/ca.pem"
    (own.root / "root/trusted.pem").write_text((tmp_path / "cloud.pem").read_text() + authority.read_text())
    with took("registered"):
        assert "The public endpoint https://longshore.example was made." in run(own, register)
    assert run(own, register) == "The catalogue says so already."

    def listed(are_so):
        """Return what `longshore node list` says of each node, once that is so."""

        def found():
            said = own.on("LONGSHORE_URL=catalog OS_CLOUD=admin longshore node list -f json 2>/dev/null")
            there = {one["Name"]: one for one in json.loads(said)} if said.startswith("[") else {}
            return there if are_so(there) else None

        return until(found, 300)

    with took("all three serve"):
        there = listed(whole)
    for name, machine in nodes.items():
        assert machine.on(f"systemctl is-active {' '.join(UNITS)}").split() == ["active"] * len(UNITS), name
        assert machine.on("systemctl list-units --failed --no-legend") == ""
        restarts = machine.on(f"systemctl show -P NRestarts {' '.join(UNITS)}").split()
        print(name, "started again:", dict(zip(UNITS, restarts, strict=True)))

    lost = next(name for name, one in there.items() if one["Database"] == "primary")
    lives = next(machine for name, machine in nodes.items() if name != lost)
    script = f"{PYTHON} /tests/nodes/node_jobs.py /etc/longshore/longshore.toml /srv/longshore/fleets"
    jobs = [*lives.inside, "runuser", "-u", "longshore", "--", *script.split()]
    subprocess.run([*jobs, "prepare"], check=True)
    asking = started("own", "node_callers.py", VIRTUAL, authority, 4, 6, 4, 0, 0)
    with subprocess.Popen([*jobs, "6"], stdout=subprocess.PIPE, text=True) as moving:
        assert moving.stdout.readline() == "asked\n"
        time.sleep(8)  # all of it is under way
        connects = started("own", "node_connects.py", VIRTUAL)
        begun = time.time()
        unplug(lost)
        nodes[lost].power_off()
        with took("another one leads and the lost one is away"):
            listed(lambda there: goes_on_without(there, lost))
        plug(lost)
        with took(f"{lost} boots"):
            nodes[lost].boot()
        time.sleep(LATE)
        give(lost, NODES[lost])
        with took("all three serve again"):
            there = listed(whole)
        ended = json.loads(moving.communicate()[0])
    found = said_by(asking)
    gaps = [(round(at - begun, 1), round(seconds, 1)) for at, seconds in said_by(connects)["gaps"]]
    print({"without an answer": gaps, "taken over": [round(at - begun) for at in ended["taken_over"]]})
    print({kind: {**found[kind], "failed": len(found[kind]["failed"])} for kind in ("read", "write", "command")})
    assert found["lost"] == [], "acknowledged, and not there"
    assert found["command"]["failed"] == []
    assert (ended["statuses"], ended["wrong"], ended["why"]) == ({"done": 6}, [], [])

    # Upgrade, and renew certificates: passwords stay, and what runs there is started again
    follows = next(name for name, one in there.items() if one["Database"] == "standby")
    with took(f"{follows} is renewed"):
        run(own, prepare)
        type_in(take, follows)
        type_in(place, follows)
        listed(lambda now: whole(now) and now[follows]["Ends"] > there[follows]["Ends"])


def stands(there):
    """Return the states of the nodes, what their databases do, and whether they have the address, each sorted."""
    told = ([str(one[what]) for one in there.values()] for what in ("State", "Database", "Virtual address"))
    return tuple(sorted(each) for each in told)


def whole(there):
    return stands(there) == (["alive"] * 3, ["primary", "standby", "standby"], ["False", "False", "True"])


def goes_on_without(there, lost):
    """Tell whether that node is away, and another one leads and another one has the address."""
    away = (["alive", "alive", "away"], ["None", "primary", "standby"], ["False", "None", "True"])
    return stands(there) == away and there[lost]["State"] == "away"
