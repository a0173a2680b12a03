"""Relays without a cloud: a real nbdkit stands in for the machine, and the cloud's answers are made up."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import groupby
from types import SimpleNamespace
from unittest.mock import MagicMock

import nbd
import pytest
from openstack import exceptions as sdk

from longshore.blocks import remote
from longshore.blocks.endpoints import STATE_ZERO, connect
from longshore.blocks.exports import reaching, serve_nbdkit
from longshore.errors import Conflict, ExportError, InvalidInput, NotFound, ProviderError, Unreachable
from longshore.model.target import Flavor, Network, Owner, Subnet
from longshore.providers.openstack import relay as relay_module
from longshore.providers.openstack import relay_attach, relay_pool, relay_servers
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.ownership import KEY, RELAY
from longshore.providers.openstack.relay import (
    Relay,
    choose_flavor,
    choose_network,
    export_of,
    instructions,
    last_words,
)
from longshore.providers.openstack.relay_attach import RelayAttachments
from longshore.providers.openstack.relay_image import build
from longshore.providers.openstack.relay_image.glance import upload
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.providers.openstack.relay_servers import RelayServers
from ports import nobody_listens, port_to_serve

VOLUME = "dc2c7cda-8b84-41da-9886-c8107c42853c"
OWNER = Owner("wf-1", "open-v")
KEY_HEX = "0123456789abcdef" * 4
QUIET = 600.0  # seconds


# Which disk, which network, what it is told


@pytest.mark.parametrize(
    "name",
    [
        f"virtio-{VOLUME[:20]}",
        f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}",
        f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME[:20]}",
        f"wwn-0x{VOLUME.replace('-', '')}",
    ],
)
def test_a_volume_is_known_by_its_serial_number(name):
    others = ["scsi-0QEMU_QEMU_HARDDISK_aaaaaaaa-8b84-41da-9886-c8107c42853c", f"{name}-part1", "scsi-0QEMU_CD-ROM"]
    assert export_of(VOLUME, [*others, name]) == name
    assert export_of(VOLUME, others) is None


def test_it_is_told_its_network_and_its_key_and_nothing_else():
    port = SimpleNamespace(fixed_ips=[{"subnet_id": "s", "ip_address": "10.1.2.3"}], mac_address="fa:16:3e:00:00:01")
    subnet = SimpleNamespace(id="s", cidr="10.1.2.0/24", gateway_ip=None)
    told = instructions(port, subnet, 1450, KEY_HEX)
    assert told.splitlines() == ["address=10.1.2.3/24", "mac=fa:16:3e:00:00:01", "mtu=1450", f"key={KEY_HEX}"]


def test_the_network_is_the_only_one_or_the_one_named():
    def network(name, *subnets):
        return Network(f"id-{name}", name, shared=False, owned=True, subnets=subnets)

    subnet = Subnet("s", "10.0.0.0/24", True)
    one, two, bare = network("one", subnet), network("two", subnet), network("bare")
    assert choose_network([one, bare], None) is one
    assert choose_network([one, two], "id-two") is two
    with pytest.raises(InvalidInput, match="has 2 networks; which of them"):
        choose_network([one, two], None)
    with pytest.raises(InvalidInput, match="has no network three for the relay"):
        choose_network([one], "three")


def test_the_flavor_is_the_smallest_that_is_large_enough():
    flavors = [
        Flavor(name, name, cpus, memory, 0) for name, cpus, memory in (("n", 1, 256), ("m", 2, 1024), ("s", 1, 768))
    ]
    assert choose_flavor(flavors, None).name == "s"
    assert choose_flavor(flavors, "n").name == "n"
    with pytest.raises(InvalidInput, match="no flavor with the 512 MiB"):
        choose_flavor(flavors[:1], None)


def test_last_words_are_one_plain_line():
    console = "boot\r\n" * 9 + "LONGSHORE-RELAY ready\r\n\x1b[1;31mnbdkit: file.3: error: gone\r\n\x1b[0m"
    console += "\x1b[1;31mnbdkit: file: error: reading initial client flags: conn->recv: Connection reset by peer\r\n"
    assert last_words(console).endswith("boot; LONGSHORE-RELAY ready; nbdkit: file.3: error: gone")


# A relay that doesn't come up


@pytest.fixture
def servers(monkeypatch):
    monkeypatch.setattr(relay_servers, "BOOT_TIMEOUT", 0.5)
    monkeypatch.setattr(relay_servers, "_CONSOLE_EVERY", 0.1)
    made = RelayServers(MagicMock(), OpenstackSettings(transport="relay"))
    made._servers = MagicMock()
    return made


@pytest.mark.parametrize(
    ("floating", "allow", "reached"),
    [("public", None, "172.24.4.9"), (None, "10.0.0.0/8", "10.1.2.3"), (None, None, "10.1.2.3")],
)
def test_a_relay_on_a_network_of_both_kinds_has_the_address_that_can_be_reached(
    servers, monkeypatch, floating, allow, reached
):
    """Neutron's first one may be of IPv6: floating addresses don't lead there, nor does everybody have a route."""
    ips = [{"subnet_id": "v6", "ip_address": "2001:db8::7"}, {"subnet_id": "v4", "ip_address": "10.1.2.3"}]
    network = servers._connection.network
    network.get_port.return_value = SimpleNamespace(fixed_ips=ips, mac_address="fa:16:3e:00:00:01")
    cidrs = {"v4": ("10.1.2.0/24", "10.1.2.1"), "v6": ("2001:db8::/64", "2001:db8::1")}
    network.get_subnet.side_effect = lambda id_: SimpleNamespace(id=id_, cidr=cidrs[id_][0], gateway_ip=cidrs[id_][1])
    network.get_network.return_value.mtu = 1500
    network.create_ip.return_value.floating_ip_address = "172.24.4.9"
    servers._settings = OpenstackSettings(transport="relay", relay_floating_network=floating, relay_allow=allow)
    servers._ports, servers._volumes = MagicMock(), MagicMock()
    servers._ports.create_port.return_value.addresses = tuple(ip["ip_address"] for ip in ips)
    for name in ("image_of", "choose_network", "choose_flavor", "of_word", "only", "marked"):
        monkeypatch.setattr(relay_servers, name, MagicMock())
    relay_servers.image_of.return_value = SimpleNamespace(id="i", min_disk=1, virtual_size=None)
    monkeypatch.setattr(servers, "_wait_until_up", lambda _relay: None)

    def route(towards):
        if ":" in towards:
            raise Unreachable("no route")
        return "10.0.0.1/32"

    monkeypatch.setattr(relay_servers, "_own_address", route)
    relay = servers.boot(Owner("m", "relay"))
    os.close(relay.key)
    assert relay.address == reached
    (request, _) = servers._servers.create_server.call_args.args
    assert "address=10.1.2.3/24\ngateway=10.1.2.1\n" in request.user_data


@pytest.fixture(scope="session")
def zeroes(tmp_path_factory):
    """The image's own filter, made for this machine's nbdkit."""
    made = tmp_path_factory.mktemp("filter") / "zeroes.so"
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-o", made]
    subprocess.run([*command, build.RECIPE / "zeroes.c"], check=True)
    return made


@pytest.mark.parametrize(
    ("console", "error", "said"),
    [
        (
            "LONGSHORE-RELAY failed: there is no config drive\n",
            ExportError,
            "couldn't start: there is no config drive",
        ),
        ("LONGSHORE-RELAY ready at 10.1.2.3/24\n", Unreachable, "is up, but its ports .* can't be reached from here"),
        ("GRUB error 17\n", ExportError, "didn't come up within .* Its console ends: GRUB error 17"),
        ("", ExportError, "Its console ends: \\(empty\\)"),
    ],
)
def test_one_that_never_answers_says_why(servers, monkeypatch, console, error, said):
    servers._servers.console.return_value = console
    with nobody_listens() as port, pytest.raises(error, match=said):
        monkeypatch.setattr(relay_module, "WRITING", port)
        servers._wait_until_up(Relay(OWNER, "server-1", "127.0.0.1", key=-1))


def test_a_project_without_the_image_is_told_how_to_get_it(servers):
    servers._connection.image.images.return_value = []
    servers._connection.image.get_image.side_effect = sdk.NotFoundException
    with pytest.raises(NotFound, match=r"no image longshore-relay .*relay-image build"):
        servers.boot(OWNER)


# Volumes through one that answers


class Machine:
    """An nbdkit that serves a directory with the relay's own options."""

    def __init__(self, directory, port, zeroes):
        (directory / "keys.psk").write_text(f"longshore:{KEY_HEX}\n")
        self.disks = directory / "disks"
        self.disks.mkdir()
        self.command = ["nbdkit", "--foreground", f"--port={port}", "--ipaddr=127.0.0.1", "--tls=require"]
        self.command += [f"--tls-psk={directory / 'keys.psk'}", f"--filter={zeroes}", "file", f"dir={self.disks}"]
        self.start()

    def start(self, **environment):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL, env={**os.environ, **environment})

    def die(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def relay(self):
        key = os.memfd_create("key")
        os.write(key, f"longshore:{KEY_HEX}\n".encode())
        found = Relay(Owner("wf-1", "relay-1"), "server-1", "127.0.0.1", key)
        end = time.monotonic() + 60
        while not found.answers():
            assert time.monotonic() < end
            time.sleep(0.05)
        return found


@pytest.fixture
def machine(tmp_path, monkeypatch, zeroes):
    port = port_to_serve()
    monkeypatch.setattr(relay_module, "WRITING", port)
    monkeypatch.setattr(relay_module, "READING", port)
    made = Machine(tmp_path, port, zeroes)
    yield made
    made.die()


class Written:
    """A ledger."""

    def __init__(self):
        self.states, self.said = {}, []

    def intend(self, owner):
        self.states[owner] = "intended"

    def made(self, owner, _server_id):
        self.states[owner] = "made"

    def gone(self, owner):
        self.states[owner] = "gone"

    def left(self, owner, why):
        self.states[owner] = f"left: {why}"

    def unsettled(self):
        return [owner for owner, state in self.states.items() if state != "gone"]

    def say(self, _owner, text, _level):
        self.said.append(text)


class SmallServers:
    """Boots and removes at once."""

    def __init__(self, machine):
        self.machine, self.there, self.booted = machine, [], 0

    def boot(self, owner):
        self.there.append(owner)
        self.booted += 1
        relay = self.machine.relay()
        relay.owner = owner
        return relay

    def remove(self, owner):
        self.there = [one for one in self.there if one != owner]

    def last_words(self, _server_id):
        return "Kernel panic"


@pytest.fixture
def small(machine):
    return SmallServers(machine)


@pytest.fixture
def ledger():
    return Written()


@pytest.fixture
def pool(small, ledger):
    made = RelayPool(small, ledger, quiet=QUIET)
    yield made
    made.end_all()
    assert small.there == []
    assert ledger.unsettled() == []


def cloud(machine, *, metadata=None, fails=False):
    """With one volume of 1 GiB, that shows on the machine once it is attached."""
    volume = SimpleNamespace(
        id=VOLUME, name="web01-0", size=1, status="available", metadata=metadata or {KEY: "wf-1/volume"}, attachments=[]
    )
    disk = machine.disks / f"virtio-{VOLUME[:20]}"

    def attach(server_id, volume_id):
        volume.status = "attaching"
        if fails:
            threading.Timer(0.4, lambda: setattr(volume, "status", "available")).start()
            return
        with disk.open("ab") as file:
            file.truncate(1 << 30)
        volume.status, volume.attachments = "in-use", [{"server_id": server_id}]

    def detach(_server_id, volume_id, **_):
        volume.status, volume.attachments = "available", []

    connection = MagicMock()
    connection.block_storage.get_volume.side_effect = lambda _id: SimpleNamespace(**vars(volume))
    connection.compute.create_volume_attachment.side_effect = attach
    connection.compute.delete_volume_attachment.side_effect = detach
    connection.compute.get_server.return_value = SimpleNamespace(metadata={RELAY: "true"})
    connection.volume = volume
    return connection


def attachments(connection, pool):
    return RelayAttachments(connection, pool)


def test_a_volume_is_written_and_read_back_over_tls(machine, pool):
    connection = cloud(machine)
    with attachments(connection, pool).open(VOLUME, OWNER) as export:
        assert export.uri.startswith("nbds://")
        assert KEY_HEX not in export.uri
        handle = nbd.NBD()
        handle.set_uri_allow_local_file(True)
        handle.connect_uri(export.uri)
        assert handle.get_tls_negotiated()
        handle.pwrite(b"harbour!" * 512, 1 << 20)
        handle.shutdown()
        export.check()
        assert export.probe().size == 1 << 30
        assert connection.volume.status == "in-use"
    assert connection.volume.status == "available"
    with (machine.disks / f"virtio-{VOLUME[:20]}").open("rb") as file:
        file.seek(1 << 20)
        assert file.read(8) == b"harbour!"


def test_a_volume_is_reached_by_what_speaks_no_tls(machine, pool):
    """As programs that work on guests reach it: through a server of our own."""
    with (
        attachments(cloud(machine), pool).open(VOLUME, OWNER) as export,
        serve_nbdkit("nbd", reaching(export.uri), read_only=False, threads=8) as plain,
    ):
        handle = nbd.NBD()
        handle.connect_uri(plain.uri)
        assert not handle.get_tls_negotiated()
        assert handle.get_size() == 1 << 30
        handle.shutdown()


def test_two_transfers_share_one_relay_which_is_removed_when_it_is_quiet(pool, small, ledger, monkeypatch):
    with pool.relay(OWNER), pool.relay(Owner("wf-2", "open-w")):
        pool.end_quiet()
    assert small.booted == 1
    assert ledger.states == {Owner("wf-1", small.there[0].step): "made"}
    pool.end_quiet()
    assert len(small.there) == 1  # it isn't quiet for long enough
    later = time.monotonic() + QUIET
    monkeypatch.setattr(relay_pool, "time", SimpleNamespace(monotonic=lambda: later))
    pool.end_quiet()
    assert small.there == []


def test_a_relay_that_dies_is_noticed_with_its_last_words_and_replaced(machine, pool, small):
    connection = cloud(machine)
    opened = attachments(connection, pool).open(VOLUME, OWNER)
    export = opened.__enter__()
    machine.die()
    with pytest.raises(ExportError, match="web01-0 can't be reached any more: Kernel panic"):
        wait_for_end(export)
    connection.volume.status = "available"  # what Nova does with the volumes of a server that is removed
    opened.__exit__(None, None, None)
    assert small.there == []
    machine.start()
    with attachments(connection, pool).open(VOLUME, OWNER):
        assert small.booted == 2


@pytest.mark.parametrize("greeting", [b"", b"NBDMAGICIHAVEOPT\0\3"])
def test_one_that_takes_connections_and_says_no_more_does_not_answer(monkeypatch, greeting):
    monkeypatch.setattr(relay_module, "PATIENCE", 0.3)
    key = os.memfd_create("key")
    os.write(key, f"longshore:{KEY_HEX}\n".encode())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(relay_module, "WRITING", silent.getsockname()[1])
        threading.Thread(target=lambda: silent.accept()[0].sendall(greeting) or time.sleep(60), daemon=True).start()
        began = time.monotonic()
        assert not Relay(OWNER, "server-1", "127.0.0.1", key).answers()
    assert time.monotonic() - began < 30
    os.close(key)


def test_one_that_is_slow_to_answer_is_kept_for_who_copies_through_it(machine, pool, small, monkeypatch):
    monkeypatch.setattr(remote, "_ANSWER_WITHIN", 0.3)
    with attachments(cloud(machine), pool).open(VOLUME, OWNER):
        machine.process.send_signal(signal.SIGSTOP)
        threading.Timer(1.5, lambda: machine.process.send_signal(signal.SIGCONT)).start()
        pool.make_ready(Owner("wf-2", "open-w"))
        assert small.booted == len(small.there) == 1


def test_one_that_hangs_keeps_nobody_from_letting_go_and_is_replaced(machine, pool, small, ledger, monkeypatch):
    monkeypatch.setattr(relay_module, "PATIENCE", 60.0)
    with pool.relay(OWNER):
        machine.process.send_signal(signal.SIGSTOP)
        asks, answers = threading.Event(), Relay.answers
        monkeypatch.setattr(Relay, "answers", lambda relay: asks.set() or answers(relay))
        asking = threading.Thread(target=pool.make_ready, args=[Owner("wf-2", "open-w")])
        asking.start()
        assert asks.wait(60)
        began = time.monotonic()
        pool.end_quiet()
    assert time.monotonic() - began < 30, "somebody who has a relay waited for another's"
    machine.die()
    machine.start()
    asking.join()
    assert small.booted == 2
    assert ledger.said.count("The relay doesn't answer any more (Kernel panic).") == 1


def wait_for_end(export):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        export.check()
        time.sleep(0.02)


def test_an_attachment_that_the_cloud_gives_up_is_told(machine, pool):
    connection = cloud(machine, fails=True)
    with (
        pytest.raises(ProviderError, match="couldn't attach volume web01-0 to the relay: it is available again"),
        attachments(connection, pool).open(VOLUME, OWNER),
    ):
        pass


def test_a_volume_that_never_shows_on_the_relay_is_told(machine, pool, monkeypatch):
    monkeypatch.setattr(relay_attach, "SHOW_TIMEOUT", 0.3)
    connection = cloud(machine)
    connection.compute.create_volume_attachment.side_effect = lambda *_a, **_k: setattr(
        connection.volume, "status", "in-use"
    )
    with (
        pytest.raises(ExportError, match=r"didn't show there within .*: Kernel panic"),
        attachments(connection, pool).open(VOLUME, OWNER),
    ):
        pass
    assert connection.volume.status == "available"


def test_a_volume_in_another_server_is_left_there(machine, pool):
    connection = cloud(machine)
    connection.volume.attachments = [{"server_id": "server-7"}]
    connection.compute.get_server.return_value = SimpleNamespace(metadata={})
    with pytest.raises(Conflict, match="is attached to server server-7"):
        attachments(connection, pool).release(VOLUME)
    connection.compute.delete_volume_attachment.assert_not_called()


def test_what_a_dead_process_left_is_taken_away_first(machine, pool, small, ledger):
    forgotten = Owner("wf-0", "relay-0")
    ledger.states[forgotten] = "made"
    small.there.append(forgotten)
    connection = cloud(machine)
    connection.volume.attachments, connection.volume.status = [{"server_id": "old"}], "in-use"
    with attachments(connection, pool).open(VOLUME, OWNER):
        assert forgotten not in small.there
        assert ledger.states[forgotten] == "gone"


def test_one_that_cannot_be_booted_leaves_nothing(pool, small, ledger):
    def boot(owner):
        small.there.append(owner)
        raise ProviderError("No host was found.")

    small.boot = boot
    with pytest.raises(ProviderError, match="No host was found"), pool.relay(OWNER):
        pass
    assert small.there == []
    assert ledger.unsettled() == []


def test_a_snapshot_is_read_from_a_volume_made_for_that(machine, pool):
    connection = cloud(machine)
    owner = Owner("wf-1", "snapshot-1")
    deleted = []
    connection.block_storage.get_snapshot.return_value = SimpleNamespace(size=1)
    connection.block_storage.volumes.return_value = []
    connection.block_storage.create_volume.return_value = connection.volume
    through = attachments(connection, pool)
    through._volumes.delete_volume = deleted.append
    with through.open_snapshot("the-volume", "the-snapshot", owner) as export:
        assert export.size == 1 << 30
        assert deleted == []
    made = connection.block_storage.create_volume.call_args.kwargs
    assert made["snapshot_id"] == "the-snapshot"
    assert made["metadata"] == {KEY: "wf-1/snapshot-1/read-the-snapshot"}
    assert deleted == [VOLUME]
    with pytest.raises(ProviderError, match="can't tell what changed"):
        through.place("the-volume")


def test_a_provider_says_beforehand_what_its_relay_would_lack(servers, monkeypatch):
    monkeypatch.setattr(servers, "_settings", OpenstackSettings(transport="relay", relay_allow="home"))
    image = {"status": "active", "properties": {"longshore_relay_recipe": "old"}}
    servers._connection.image.images.return_value = [SimpleNamespace(id="i", name="longshore-relay", **image)]
    servers._connection.image.get_image.side_effect = sdk.NotFoundException
    servers._placement = MagicMock(**{"networks.return_value": [], "flavors.return_value": []})
    found = servers.outlook()
    assert "isn't of this Longshore's recipe" in found["relay image"]
    assert "has 0 networks" in found["relay network"]
    assert "home isn't a range of addresses" in found["relay lets in"]
    assert "no flavor with the 512 MiB" in found["relay flavor"]


# What crosses the wire


def mapped(uri, length=1 << 30):
    """Each stretch with whether it is said to be zero."""
    handle = connect(uri, extents=True)
    found = []

    def seen(_context, _offset, entries, _error):
        found.extend(zip(entries[::2], (bool(flags & STATE_ZERO) for flags in entries[1::2]), strict=True))

    while (at := sum(size for size, _ in found)) < length:
        handle.block_status(length - at, at, seen)
    handle.shutdown()
    merged = [(zero, sum(size for size, _ in group)) for zero, group in groupby(found, key=lambda one: one[1])]
    return [(size, zero) for zero, size in merged]


def test_zeroes_are_found_where_the_disk_is(machine, pool):
    with attachments(cloud(machine), pool).open(VOLUME, OWNER) as export:
        with (machine.disks / f"virtio-{VOLUME[:20]}").open("r+b") as file:
            file.write(bytes(200 << 20))  # of which the file system knows nothing
            file.seek((12 << 20) - 1)
            file.write(b"x")
            file.seek((99 << 20) + 70_000)
            file.write(b"y")
        mib = 1 << 20
        assert mapped(export.uri) == [
            (11 * mib, True),
            (1 * mib, False),
            (87 * mib, True),
            (1 * mib, False),
            (924 * mib, True),
        ]


def test_a_full_disk_is_not_read_twice_for_it_and_what_cannot_be_read_is_not_zero(tmp_path, zeroes):
    disk, stats = tmp_path / "disk", tmp_path / "stats"
    disk.write_bytes(b"full" * (16 << 20))
    served = ["nbdkit", "-U", "-", f"--filter={zeroes}"]
    counted = [*served, "--filter=stats", "file", disk, f"statsfile={stats}", "--run", 'nbdinfo --map --totals "$uri"']
    assert "100.0%   0 data" in subprocess.run(counted, capture_output=True, text=True, check=True).stdout
    assert "4.00 MiB" in next(line for line in stats.read_text().splitlines() if line.startswith("read"))
    disk.write_bytes(bytes(4 << 20))
    broken = [
        *served,
        "--filter=error",
        "file",
        disk,
        "error-pread-rate=100%",
        "--run",
        'nbdinfo --map --totals "$uri"',
    ]
    assert "100.0%   0 data" in subprocess.run(broken, capture_output=True, text=True, check=True).stdout


def test_tls_takes_the_cipher_that_a_processor_has_instructions_for(machine, pool):
    machine.die()
    machine.start(GNUTLS_SYSTEM_PRIORITY_FILE=str(build.RECIPE / "gnutls.conf"))
    with attachments(cloud(machine), pool).open(VOLUME, OWNER) as export:
        ask = [sys.executable, "-c", "import sys; from longshore.blocks.endpoints import probe; probe(sys.argv[1])"]
        asked = subprocess.run(
            [*ask, export.uri],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GNUTLS_DEBUG_LEVEL": "4"},
        )
    assert "Selected cipher suite: GNUTLS_AES_128_GCM_SHA256" in asked.stderr


# The image


def test_another_recipe_is_another_digest(tmp_path, monkeypatch):
    shutil.copytree(build.RECIPE, tmp_path / "recipe")
    here = build.recipe_digest()
    monkeypatch.setattr(build, "RECIPE", tmp_path / "recipe")
    assert build.recipe_digest() == here
    with (tmp_path / "recipe" / "packages").open("a") as packages:
        packages.write("telnet\n")
    assert build.recipe_digest() != here


def test_an_image_that_is_there_is_built_again_only_for_another_recipe(tmp_path, monkeypatch):
    made = []

    def run_recipe(work, _progress):
        made.append(work)
        (work / "relay.qcow2").write_text("an image")
        (work / "packages").write_text("nbdkit 1.32.5-1\n")

    monkeypatch.setattr(build, "_run_recipe", run_recipe)
    monkeypatch.setattr(build, "_check_machine", lambda: None)
    monkeypatch.setattr(build, "_sources", lambda: "")
    file = tmp_path / "relay.qcow2"
    assert build.build(file, MagicMock()).fresh
    again = build.build(file, MagicMock())
    assert not again.fresh
    assert again.packages == {"nbdkit": "1.32.5-1"}
    monkeypatch.setattr(build, "recipe_digest", lambda: "another")
    assert build.build(file, MagicMock()).recipe == "another"
    file.write_text("something else")
    with pytest.raises(InvalidInput, match="isn't what was built"):
        build.built_image(file)
    assert build.build(file, MagicMock()).fresh
    assert len(made) == 3


def test_an_image_of_that_name_which_is_not_ours_is_left_alone():
    connection = MagicMock(current_project_id="p")
    connection.image.images.return_value = [SimpleNamespace(id="i", owner="p", status="active", properties={})]
    with pytest.raises(Conflict, match="isn't a relay image of Longshore's"):
        upload(connection, build.BuiltImage(None, "recipe", {}, "", fresh=False), "longshore-relay")
    connection.image.delete_image.assert_not_called()
