"""The bundle for machines without a network: signed, and installed on a bare Debian 12 with loopback alone."""

import os
import subprocess
import time

import pytest

from booted import Booted
from packaged import active, as_root, configure, make, root, typed

pytestmark = [*as_root(5400), pytest.mark.soak]
KEY = "operator@example.org"


def keys(home):
    """Make a GnuPG home with a key in it."""
    home.mkdir(mode=0o700)
    environment = os.environ | {"GNUPGHOME": str(home)}
    generate = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", KEY, "ed25519", "sign"]
    subprocess.run(generate, check=True, env=environment, stderr=subprocess.DEVNULL)
    return environment


@pytest.fixture
def machine(tmp_path):
    """Make a bundle as the page says, and yield a bare Debian with it and its key in /mnt."""
    environment = keys(tmp_path / "gnupg")
    _, wanted, shown = typed("Without a network")[0]
    assert wanted == f"make bundle KEY={KEY}"
    made = make("bundle", tmp_path / "made", environment, KEY=KEY)
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True, env=environment)
    subprocess.run(shown.replace("dist/", f"{made}/"), shell=True, check=True)
    with Booted(root("bare"), tmp_path, {"/mnt": made}) as machine:
        yield machine


def test_it_is_installed_without_a_network_if_all_of_it_is_as_it_was_signed(machine):
    on = machine.on
    assert on("tail -n +3 /proc/net/dev | cut -d: -f1 | xargs") == "lo"
    unpack, enter, check, install = typed("Without a network")[1]
    on(f"cd /mnt && {unpack}")

    def done(command):
        return on(f"cd /mnt && {enter} && {command}; echo $?")

    for changed, put_back, sentence in (
        ("echo >>CHANGELOG.md", "truncate -s -1 CHANGELOG.md", "./CHANGELOG.md: FAILED"),
        ("touch apt/other.deb", "rm apt/other.deb", "These don't belong to the bundle: ./apt/other.deb"),
        ("echo >>SHA256SUMS", "truncate -s -1 SHA256SUMS", "SHA256SUMS isn't signed by a key of"),
    ):
        done(changed)
        refused = done(install)
        assert sentence in refused
        assert refused.endswith("\n1")
        assert on("dpkg-query -W -f '${Package} '").count("longshore") == 0
        done(put_back)

    assert done(check).endswith("\n0")
    begun = time.monotonic()
    said = done(install)
    assert said.endswith("\n0"), said
    print(f"installed in {time.monotonic() - begun:.0f} s")
    assert active(on) == ["inactive", "inactive"]
    assert on("pg_lsclusters -h").split()[3] == "online"
    configure(on)
    shown = on("runuser -u longshore -- longshore check guests; echo status $?")
    print(shown)
    assert shown.endswith("status 0")
    # Where `longshore relay-image upload` looks for it
    assert on("ls /root/.cache/longshore").split() == ["relay.qcow2", "relay.qcow2.json"]
    assert {"install.md", "sbom", "wheels"} <= set(on("ls /mnt/longshore-bundle").split())
