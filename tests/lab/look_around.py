"""A hostile guest: a hook of its initramfs, which virt-v2v has the guest run, looks for what it can reach meanwhile."""

import json
import subprocess
from tempfile import NamedTemporaryFile

HOOK = "/etc/initramfs-tools/hooks/look-around"
FOUND = "/var/tmp/found"
# What the appliance's network calls the loopback address of its host, and its name server, and the appliance itself
ADDRESSES = ("169.254.2.2", "169.254.2.3", "127.0.0.1")
_LOOK_AROUND = """#!/bin/bash
[ "$1" != prereqs ] || exit 0
for address in {addresses}; do
  for port in {ports}; do
    heard=$(timeout 3 bash -c "exec 3<>/dev/tcp/$address/$port && echo reached && head -c 8 <&3" 2>/dev/null)
    echo "$address $port" $heard
  done
done > {found}
echo end >> {found}
"""


def plant(disk, ports):
    """Plant a hook that looks for these ports at each address; FOUND gets a line for each, with `reached`, and then
    `end`."""
    table = json.loads(_output("sfdisk", "--json", disk))["partitiontable"]
    device = f"{disk}?offset={table['partitions'][0]['start'] * 512}"
    numbers = " ".join(str(port) for port in ports)
    with NamedTemporaryFile("w") as script:
        script.write(_LOOK_AROUND.format(addresses=" ".join(ADDRESSES), ports=numbers, found=FOUND))
        script.flush()
        for change in (f"write {script.name} {HOOK}", f"sif {HOOK} mode 0100755"):
            _output("debugfs", "-w", "-R", change, device)


def _output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
