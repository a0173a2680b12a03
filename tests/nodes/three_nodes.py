"""Three nodes in network namespaces, with what `longshore node prepare` has written for them, and the real parts.

    three_nodes.py up | down | status

Each node has an /etc, /var/lib and /run of its own, in a mount namespace of each of its processes; they are joined by a
bridge in a namespace of its own, like a switch, beside a client's and a cloud's. Everything is below $LONGSHORE_NODES
(/tmp/longshore-nodes), where logs are in log/. That takes root, and Debian's etcd-server, haproxy, keepalived and
postgresql.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]
PYTHON = SOURCE / ".venv/bin/python"
RUN = Path(os.environ.get("LONGSHORE_NODES", "/tmp/longshore-nodes"))
PREFIX = os.environ.get("LONGSHORE_NODES_PREFIX", "lsnode")
NODES = (1, 2, 3)
VIRTUAL, CLIENT, CLOUD = "10.97.0.97", "10.97.0.5", "10.97.0.6"
OWN = ("etc", "var/lib", "run", "opt", "srv")  # of each node; the last two they share
KINDS = ("etcd", "patroni", "haproxy", "keepalived", "server", "worker")
# Its packages, kept for the next time, and for other clones
PATRONI = Path(os.environ.get("LONGSHORE_BUILD", "/var/lib/longshore-build")) / "patroni"


def address(n):
    return f"10.97.0.{10 + n}"


def namespace(where):
    return f"{PREFIX}-{where}"


def sh(*command, check=True, **more):
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, **more)
    if check and done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}: {done.stderr[-2000:]}")
    return done


def wait_for(what, seconds, every=0.2):
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited for {seconds} s in vain: {what.__doc__ or what}")
        time.sleep(every)
    return found


# The network


def make_network():
    switch = namespace("switch")
    sh("ip", "netns", "add", switch)
    sh("ip", "-n", switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
    sh("ip", "-n", switch, "link", "set", "br0", "up")
    for where, at in [*((n, address(n)) for n in NODES), ("client", CLIENT), ("cloud", CLOUD)]:
        name, port = namespace(where), f"p{where}"
        sh("ip", "netns", "add", name)
        sh("ip", "-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
        sh("ip", "-n", name, "address", "add", f"{at}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            sh("ip", "-n", name, "link", "set", link, "up")


def cut(n):
    """Have the switch drop all that comes from a node, whose link stays up."""
    sh("ip", "-n", namespace("switch"), "link", "set", f"p{n}", "nomaster")


def unplug(n):
    """Have a node's link go down."""
    sh("ip", "-n", namespace("switch"), "link", "set", f"p{n}", "down")


def heal(n):
    """Take back what `cut` or `unplug` has done."""
    sh("ip", "-n", namespace("switch"), "link", "set", f"p{n}", "master", "br0", "up")


def holders():
    """Return the nodes that have the virtual address now."""
    shown = {n: sh("ip", "-n", namespace(n), "-4", "-o", "address", "show", "dev", "eth0").stdout for n in NODES}
    return [n for n, text in shown.items() if f"{VIRTUAL}/" in text]


# Machines


def root_of(n, part):
    return RUN / (part if part in ("opt", "srv") else f"node{n}/{part}")


def inside(n, *command, user=None):
    """Return the command line that runs something on a node."""
    mounts = "".join(f"mount --bind {shlex.quote(str(root_of(n, part)))} /{part} && " for part in OWN)
    line = ["ip", "netns", "exec", namespace(n), "unshare", "--mount", "--uts", "sh", "-c"]
    line += [f'{mounts} hostname node{n} && cd / && exec "$@"', "sh"]
    # As systemd has it: nothing of whoever has started all this
    home = {"postgres": "/var/lib/postgresql", "longshore": "/srv/longshore"}.get(user, "/root")
    line += [
        "env",
        "-i",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        f"HOME={home}",
    ]
    if user:
        line += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
    return [*line, *map(str, command)]


def make_machines():
    """Make three machines of this one, and place what `node prepare` has written by its own script's lines."""
    files = RUN / "files"
    prepared = ["node", "prepare", files, *map(address, NODES), "--virtual", f"{VIRTUAL}/24", "--interface", "eth0"]
    prepared += ["--url", "https://longshore.example", "--keystone", f"http://{CLOUD}:5000/v3"]
    version = max(int(path.name) for path in Path("/usr/lib/postgresql").iterdir())
    sh(SOURCE / ".venv/bin/longshore", *prepared, "--postgresql", version)
    for part in ("opt", "srv", "log", "pids"):
        (RUN / part).mkdir()
    for n in NODES:
        node = files / f"node{n}"
        (node / "files/etc/longshore/keystone.password").write_text("nothing")
        with (node / "files/etc/longshore/longshore.toml").open("a") as file:
            file.write("\n[server.quotas]\nlimits = 100000\n")  # each write is one
        shutil.copytree("/etc", root_of(n, "etc"), symlinks=True, ignore=shutil.ignore_patterns("ssl-cert-*"))
        with (root_of(n, "etc") / "passwd").open("a") as file:
            file.write("longshore:x:970:970::/srv/longshore:/usr/sbin/nologin\n")
        with (root_of(n, "etc") / "group").open("a") as file:
            file.write("longshore:x:970:\n")
        for path in ("var/lib/etcd", "var/lib/postgresql", "run/postgresql", "run/longshore", "run/haproxy"):
            (RUN / f"node{n}" / path).mkdir(parents=True)
        for path, user in (
            ("var/lib/etcd", "etcd"),
            ("var/lib/postgresql", "postgres"),
            ("run/postgresql", "postgres"),
        ):
            shutil.chown(RUN / f"node{n}" / path, user, user)
        placing = [line for line in (node / "place").read_text().splitlines() if line.startswith("install ")]
        sh(*inside(n, "sh", "-ec", "\n".join([f"cd {shlex.quote(str(node))}", *placing])))
    install_patroni(files / "node1" / "patroni.txt")


def install_patroni(packages):
    """Do what the script does, at the place where nodes have it: an environment knows its own place."""
    if not (PATRONI / "patroni.txt").exists() or (PATRONI / "patroni.txt").read_bytes() != packages.read_bytes():
        shutil.rmtree(PATRONI, ignore_errors=True)
        PATRONI.mkdir(parents=True)
        made = "/usr/bin/python3 -m venv /opt/patroni && /opt/patroni/bin/pip install -q -r"
        bound = f"mount --bind {shlex.quote(str(PATRONI))} /opt && {made} {shlex.quote(str(packages))}"
        sh("unshare", "--mount", "sh", "-ec", bound, cwd="/")
        shutil.copyfile(packages, PATRONI / "patroni.txt")
    shutil.copytree(PATRONI / "patroni", RUN / "opt" / "patroni", symlinks=True)


# What runs on them


def started_at(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def pid_of(name):
    try:
        pid, started = (RUN / "pids" / name).read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started_at(pid) == started else None


def below(pid):
    """Return all processes that it has started, and those of these."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *below(child)]
    return found


def spawn(name, line):
    with (RUN / "log" / name).open("ab") as log:
        process = subprocess.Popen(
            list(map(str, line)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    (RUN / "pids" / name).write_text(f"{process.pid} {started_at(process.pid)}")


def start(kind, n):
    """Start what isn't running, as the unit of it does."""
    name = f"{kind}{n}"
    if pid_of(name):
        return
    settings, keep = "/etc/longshore/longshore.toml", HERE / "keep"
    unit = (RUN / f"files/node{n}/files/etc/systemd/system/patroni.service").read_text()
    run_patroni = next(line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart="))
    line = {
        "etcd": ("sh", "-c", "set -a; . /etc/default/etcd; exec etcd"),
        "patroni": (keep, *run_patroni.split()),
        "haproxy": (keep, "haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
        "keepalived": (keep, "keepalived", "--vrrp", "--dont-fork", "--log-console"),
        "server": (keep, SOURCE / ".venv/bin/longshore", "--config", settings, "server"),
        "worker": (keep, PYTHON, HERE / "node_worker.py", settings, RUN / "fleets"),
    }[kind]
    user = {"etcd": "etcd", "patroni": "postgres"}.get(kind)
    spawn(name, inside(n, *line, user=user))


def end(pids, number=signal.SIGKILL):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def end_name(name):
    """Kill what runs by this name, with all that it has started, as when the power goes."""
    pid = pid_of(name)
    if pid is not None:
        end([pid, *below(pid)])


def kept(name):
    """Return the process that is kept running, which is started anew when it ends."""
    pid = pid_of(name)
    children = below(pid) if pid else []
    return children[0] if children else None


def postmaster(n):
    try:
        pid = int((root_of(n, "var/lib") / "postgresql/longshore/postmaster.pid").read_text().split()[0])
        mine = b"/var/lib/postgresql/longshore" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if mine else None


def kill_database(n):
    """Kill PostgreSQL alone, with all its children at once, as when memory is out."""
    pid = postmaster(n)
    end([pid, *below(pid)])


def power_off_database(n):
    """Kill all of a node's database at once: nobody says goodbye, but its kernel resets connections."""
    server = postmaster(n)
    for name in (f"patroni{n}", f"etcd{n}"):
        end_name(name)
    if server:
        end([server, *below(server)])


def patroni_says(n):
    ask = ("curl", "-sk", "-m", "2", f"https://{address(n)}:8008/patroni")
    try:
        return json.loads(sh("ip", "netns", "exec", namespace(n), *ask, check=False).stdout)
    except ValueError:
        return {}


def primary():
    """Return the node whose PostgreSQL leads."""
    for n in NODES:
        said = patroni_says(n)
        if said.get("role") == "primary" and said.get("state") == "running":
            return n
    return None


def whole():
    """Return the node that leads, once both others stream from it."""
    said = {n: patroni_says(n) for n in NODES}
    leads = [n for n, each in said.items() if each.get("role") == "primary" and each.get("state") == "running"]
    streams = [n for n, each in said.items() if each.get("replication_state") == "streaming"]
    return leads[0] if len(leads) == 1 and len(streams) == 2 else None


def answers():
    """Tell whether a request to the virtual address is answered."""
    ca = RUN / "files/node1/files/etc/longshore/tls/ca.pem"
    ask = ("curl", "-sf", "-m", "10", "--cacert", ca, "-o", "/dev/null", f"https://{VIRTUAL}/readyz")
    return sh("ip", "netns", "exec", namespace("client"), *ask, check=False).returncode == 0


def up():
    """Raise all of it, and wait until it serves."""
    down()
    RUN.mkdir(parents=True)
    RUN.chmod(0o755)
    make_network()
    make_machines()
    spawn("keystone", ["ip", "netns", "exec", namespace("cloud"), PYTHON, HERE / "node_keystone.py", CLOUD, "5000"])
    for kind in KINDS[:4]:
        for n in NODES:
            start(kind, n)
    wait_for(whole, 400)
    for kind in KINDS[4:]:
        for n in NODES:
            start(kind, n)
    wait_for(answers, 400)


def down():
    """End all of it, and remove what it has left."""
    servers = [pid for pid in map(postmaster, NODES) if pid]
    for path in (RUN / "pids").glob("*"):
        end_name(path.name)
    for pid in servers:
        end([pid, *below(pid)])
    for where in (*NODES, "client", "cloud", "switch"):
        sh("ip", "netns", "del", namespace(where), check=False)
    if RUN.exists():
        wait_for(lambda: not [pid for pid in servers if started_at(pid)], 30)
        shutil.rmtree(RUN)


def status():
    print(f"address: {holders()}, primary: {primary()}, whole: {bool(whole())}, serves: {answers()}")
    print("runs:", *sorted(path.name for path in (RUN / "pids").glob("*") if pid_of(path.name)))


if __name__ == "__main__":
    {"up": up, "down": down, "status": status}[sys.argv[1] if len(sys.argv) == 2 else "status"]()
