"""Debian's packages of Longshore on a bare Debian 12 with systemd: installed, upgraded, removed, purged."""

import re
import shutil
import subprocess
import time

import pytest

from booted import OUR_NETWORK, Booted, until
from longshore.engine.version import FLOW_VERSION
from packaged import READY, ROOT, active, as_root, configure, keystone_and_disk, landed, made, root, typed

NAMES = ("longshore", "longshore-engine", "longshore-server", "longshore-worker")
pytestmark = as_root()
SMALL = "/usr/lib/longshore/bin/python3 /small/on_small_clouds.py"
LOOKED_AT = """
mount --bind "$2" "$1/mnt"
mount -t proc proc "$1/proc"
looks="lintian --allow-root --tag-display-limit 0 --fail-on error,warning"
exec chroot "$1" env LC_ALL=C.UTF-8 sh -c "exec $looks /mnt/*.deb"
"""


def later(package, into):
    """Write the same package with a later version, and one that has only its scripts, of the next flow version."""
    for kind in ("later", "next"):
        tree = into / "tree"
        scripts = tree / "DEBIAN"
        tree.mkdir()
        subprocess.run(["dpkg-deb", "-e", package, scripts], check=True)
        if kind == "later":
            subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
        control = scripts / "control"
        version = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE)[1]
        control.write_text(control.read_text().replace(version, f"{version}.{kind}"))
        if kind == "next":
            preinst = scripts / "preinst"
            preinst.write_text(preinst.read_text().replace(f"'{FLOW_VERSION}'", f"'{int(FLOW_VERSION) + 1}'"))
        subprocess.run(["dpkg-deb", "-Znone", "-b", tree, into / kind / package.name], check=True, capture_output=True)
        shutil.rmtree(tree)


@pytest.fixture
def machine(tmp_path):
    """Yield a bare Debian with what the packages depend on, their files in /now, and others in /later and /next."""
    packages = made(tmp_path / "packages", "none")
    assert set(packages) == set(NAMES)
    with Booted(root("bookworm"), tmp_path) as machine:
        for kind in ("now", "later", "next"):
            (machine.root / kind).mkdir()
        for package in packages.values():
            later(package, machine.root)
            shutil.copy(package, machine.root / "now")
        machine.on("echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/yes")
        yield machine


@pytest.mark.turns("packages and nodes")
def test_packages_start_when_there_is_a_configuration_and_keep_data_until_a_purge_that_is_told_to_remove_it(machine):
    on = machine.on

    def longshore(words):
        return on(f"runuser -u longshore -- longshore --config /etc/longshore/longshore.toml {words}")

    (_, install) = typed("Debian packages")
    for command in (*install, "apt install ./longshore-worker_*.deb"):
        said = on(f"cd /now && {command} && echo done")
        assert said.endswith("done"), said
    # Without a question, and with nothing that runs or has failed
    assert active(on) == ["inactive", "inactive"]
    assert on("systemctl is-enabled longshore-server longshore-worker").split() == ["enabled", "enabled"]
    assert on("systemctl list-units --failed --no-legend 'longshore*'") == ""
    assert on("longshore --version") == "longshore 0.1.0"
    # Whom the system trusts, and not a list of its own
    trusted = "import certifi; print(certifi.where())"
    assert on(f"readlink $(/usr/lib/longshore/bin/python3 -c '{trusted}')") == "/etc/ssl/certs/ca-certificates.crt"
    # By which the converter and the image of a relay are built
    assert on("find /usr/lib/longshore/lib/ -path '*/recipe/build' -perm -755 | wc -l") == "2"
    assert on("stat -c '%U:%G %a' /etc/longshore /srv/longshore").split("\n") == [
        "root:longshore 750",
        "longshore:longshore 700",
    ]

    configure(on)
    assert on("ps -o user= -C longshore | sort -u") == "longshore"

    on("head -c 64M /dev/urandom >/disk.img")
    longshore("provider add files disks --url file:///disk.img")
    longshore("vault create safe /var/lib/longshore/safe")
    longshore("limit set --source disks --bytes-per-second 1M")
    longshore("backup create disk --source disks --vault safe")
    at = "job list -f value -c Status -c Phase"
    until(lambda: longshore(at) == "running copying")
    engine = on("cat /var/lib/longshore/engine.pid")
    on(f"systemd-run sh -c 'while kill -0 {engine}; do sleep 0.05; done; touch /run/ended'")

    # A command's engine ends before a file of the new version is there; server and worker run from those of the old
    # one until all are, and are back at once
    on("touch /srv/longshore/kept && echo 'secret = 1' >/etc/longshore/environment")
    said = on("apt-get install -y --no-install-recommends /later/*.deb && echo done")
    assert said.endswith("done"), said

    def last(status, package):
        at = f"grep ' status {status} {package}:' /var/log/dpkg.log | tail -n 1 | cut -d' ' -f1,2"
        return int(on(f'date -d "$({at})" +%s'))

    packages = ("longshore", "longshore-engine")
    changing = min(last("half-installed", package) for package in packages)
    changed = max(last("unpacked", package) for package in packages)
    assert float(on("stat -c %.3Y /run/ended")) <= changing + 1
    for unit in ("longshore-server", "longshore-worker"):
        ended = on(f'date -d "$(systemctl show -P InactiveEnterTimestamp {unit})" +%s')
        assert int(ended) >= changed, on(f"journalctl -u {unit}")
    assert active(on) == ["active", "active"]
    assert on("ls /usr/lib/longshore-kept | wc -l") == "2", "what nobody runs from any more has gone"
    until(lambda: on(READY) == "200", 300)
    # The server takes up what its engine had
    longshore("limit delete --source disks")
    until(lambda: longshore(at) == "done done", 300)

    # A release with other steps doesn't take the place of one whose jobs nobody would go on with
    longshore("limit set --source disks --bytes-per-second 1M")
    longshore("backup create disk --source disks --vault safe")
    (job,) = until(lambda: longshore("job list -f value -c ID --status running").split())
    processes = on("systemctl show -P MainPID longshore-server longshore-worker")
    refused = on("dpkg -i /next/*.deb; echo $?")
    assert refused.endswith("\n1")
    assert refused.count(f"1 job began under flow version {FLOW_VERSION}, and") == len(NAMES), refused
    assert refused.count(job) == len(NAMES)
    assert on("systemctl show -P MainPID longshore-server longshore-worker") == processes
    shown = on("dpkg-query -W -f '${db:Status-Abbrev} ${Version}\\n' 'longshore*'")
    assert {line.rpartition(".")[2] for line in shown.splitlines()} == {"later"}
    assert {line[:2] for line in shown.splitlines()} == {"ii"}
    longshore(f"job cancel {job}")
    until(lambda: longshore("job list -f value -c Status").split() == ["done", "cancelled"])

    data = "ls /srv/longshore/kept /etc/longshore/longshore.toml"
    there = on(data)
    on("apt-get remove -y 'longshore*'")
    assert active(on) == ["inactive", "inactive"]
    assert on("command -v longshore; ls -d /usr/lib/longshore* 2>/dev/null") == ""
    assert on(data) == there
    # Whoever isn't asked keeps all
    on("apt-get purge -y 'longshore*'")
    assert on(data) == there
    assert on("apt-get install -y --no-install-recommends /later/*.deb && echo done").endswith("done")
    on("echo longshore-engine longshore-engine/remove-data boolean true | debconf-set-selections")
    on("apt-get purge -y 'longshore*'")
    assert on("ls -d /etc/longshore /var/lib/longshore 2>/dev/null") == ""
    assert on("ls /srv/longshore/kept") == "/srv/longshore/kept"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return the packages as they are given away."""
    return made(tmp_path_factory.mktemp("packages"), "xz")


@pytest.mark.soak
def test_two_builds_are_equal(published, tmp_path):
    again = made(tmp_path, "xz")
    assert {name: path.read_bytes() for name, path in again.items()} == {
        n: p.read_bytes() for n, p in published.items()
    }


@pytest.mark.soak
def test_the_same_packages_work_on_debian_13(published, tmp_path):
    with Booted(root("trixie"), tmp_path) as machine:
        on = machine.on
        for package in published.values():
            shutil.copy(package, machine.root / "mnt")
        said = on("apt-get install -y --no-install-recommends /mnt/*.deb && echo done")
        assert said.endswith("done"), said
        assert on("longshore --version") == "longshore 0.1.0"
        assert "There is none. Add one" in on("longshore provider list")
        configure(on)
        # Of the Python there, none of whose bytecode is missing
        installed = "/var/lib/dpkg/info/longshore-engine.list"
        assert on(f"find /usr/lib/longshore/lib/ -newer {installed} -name '*.pyc'") == ""


@pytest.mark.soak
@pytest.mark.parametrize("debian", ["bare", "bare-trixie"])
def test_a_bare_debian_moves_its_first_machine(published, debian, tmp_path):
    with Booted(root(debian), tmp_path) as machine:
        for package in published.values():
            shutil.copy(package, machine.root / "mnt")
        (machine.root / "small").mkdir()
        shutil.copytree(ROOT / "tests/flows", machine.root / "small/flows")
        shutil.copy(ROOT / "tests/on_small_clouds.py", machine.root / "small")
        shutil.copy("/etc/resolv.conf", machine.root / "etc")
        (machine.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        on, begun = machine.on, time.monotonic()
        # From this machine's mirrors
        (_, (install,)) = typed("Debian packages")
        on("echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/yes")
        for command in ("apt-get -qq update", install, "apt install ./longshore-worker_*.deb"):
            said = on(f"cd /mnt && {command} && echo done", OUR_NETWORK)
            assert said.endswith("done"), said
        installed = time.monotonic()
        with keystone_and_disk(machine, tmp_path / "files") as addresses:
            shutil.copy(addresses["authority"], machine.root / "usr/local/share/ca-certificates/small.crt")
            on("update-ca-certificates")
            drop_in = machine.root / "etc/systemd/system/longshore-worker.service.d/small.conf"
            drop_in.parent.mkdir()
            drop_in.write_text(f"[Service]\nExecStart=\nExecStart={SMALL} worker\n")
            configure(on)

            def small(words):
                return on(f"runuser -u longshore -- env LONGSHORE_STATE=/srv/longshore {SMALL} {words}")

            migration = small(f"take {addresses['files']}/web01.raw")
            ended = until(lambda: re.search("done|failed", small("migration list -f value -c Status")), 300)
            assert ended[0] == "done", small(f"migration events {migration}")
        print(
            f"{debian}: installed in {installed - begun:.0f} s, moved {time.monotonic() - installed:.0f} s after that"
        )
        assert landed(machine.root / "srv/longshore/fleet/web01")


@pytest.mark.soak
def test_lintian_has_nothing_to_say_but_what_is_overridden(published):
    done = subprocess.run(
        ["unshare", "--mount", "--", "sh", "-ec", LOOKED_AT, "sh", root("lintian"), published["longshore"].parent],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode, [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")]) == (0, [])
