"""Reads 10,000 machines from a simulated vCenter and preflights 1,000 of them: seconds and memory.

    .venv/bin/python bench/inventory.py [MACHINES [PLANNED]] [--small]

The vCenter is the lab's, in a process of its own, with machines that only its inventory knows; everything in between
is real: SOAP, TLS, the property collector in pages, the REST API in embedded mode. Measured is a process that does
nothing else, once through the provider alone and once as `longshore machine list`. Kept in results/inventory.json.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from outcome import about_machine, keep, now, parser

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))


def read(host, port, fingerprint, planned):
    """Through the provider; then preflight. In a process of its own."""
    from longshore.model.plan import Mappings
    from longshore.model.request import MigrationRequest, MigrationType
    from longshore.model.target import Flavor, Network, QuotaRoom, Subnet
    from longshore.planning import TargetFacts, check
    from longshore.planning.proposal import Offer, propose
    from longshore.providers.vsphere.settings import VsphereSettings
    from longshore.providers.vsphere.source import VsphereSource

    source = VsphereSource(VsphereSettings(host, USER, port, fingerprint), os.environ["BENCH_PASSWORD"])
    base = memory()
    found, listing = timed(lambda: list(source.machines()))
    after = memory()
    inventory, around = timed(source.inventory)
    source.close()
    request = MigrationRequest(networks={"VM Network": "private"}, type=MigrationType.WARM)
    facts = TargetFacts(
        networks=(Network("n", "private", False, True, (Subnet("s", "10.20.0.0/16", True),)),),
        volume_types=("ceph",),
        flavors=tuple(Flavor(str(n), f"f{n}", 1 + n % 8, 256 << n % 9, 0) for n in range(60)),
        room=QuotaRoom(planned // 2, None, None, None, None, None, None),
    )
    offer = Offer(list(facts.networks), list(facts.volume_types), list(facts.flavors), (), {})
    proposal, planning = timed(lambda: propose("bench", "vc", "cloud", found[:planned], offer, Mappings()))
    plan = [(machine, request) for machine in found[:planned]]
    concerns, preflight = timed(lambda: check(plan, facts, inventory, at_once=10))
    return {
        "machines": len(found),
        "list": listing,
        "inventory": around,
        "memory_before_mib": base,
        "memory_after_mib": after,
        "planned": len(plan),
        "in_the_plan": len(proposal.plan.machines),
        "plan": planning,
        "preflight": preflight,
        "concerns": len(concerns),
        "quota_found": any(c.code == "quota-instances" for c in concerns),
        "peak_mib": memory(),
    }


def command(*words, state):
    """A command as a user runs it."""
    environment = {**os.environ, "LONGSHORE_STATE": state}
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [Path(sys.executable).with_name("longshore"), *words],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # ru_maxrss is that of the largest child so far: no other child is larger than this one
    return {
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(processor, 1),
        "peak_mib": after.ru_maxrss >> 10,
    }, done.stdout


def timed(work):
    started, processor = time.monotonic(), time.process_time()
    result = work()
    return result, {
        "seconds": round(time.monotonic() - started, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
    }


def memory():
    """MiB at most so far in this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure(count, planned):
    from vcenter.paper import paper_vcenter

    from longshore.providers.vsphere.certificate import fetch_fingerprint

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with paper_vcenter(root / "vcenter") as served:
            served.sidedoor.add_paper_machines(count, disks=2, running=True)
            fingerprint = fetch_fingerprint(served.host, served.port)
            state, password = str(root / "state"), root / "password"
            password.write_text(served.password)
            address = ["--host", served.host, "--port", str(served.port), "--username", served.user]
            secret = ["--fingerprint", fingerprint, "--password-file", str(password)]
            command("provider", "add", "vsphere", "vc", *address, *secret, state=state)
            listed, output = command("machine", "list", "vc", "-f", "json", state=state)
            assert len(json.loads(output)) == count
            few, output = command("machine", "list", "vc", "--name", "paper0000?", "-f", "json", state=state)
            assert len(json.loads(output)) == min(count, 9)
            child = subprocess.run(
                [sys.executable, __file__, "--read", served.host, str(served.port), fingerprint, str(planned)],
                env={**os.environ, "BENCH_PASSWORD": served.password},
                check=True,
                capture_output=True,
                text=True,
            )
            server = Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()
    return {
        "at": now(),
        "machine": about_machine(),
        "machine_list": listed,
        "machine_list_of_nine": few,
        "provider": json.loads(child.stdout),
        "vcenter_processor_seconds": (int(server[11]) + int(server[12])) / os.sysconf("SC_CLK_TCK"),
    }


def main():
    asked = parser(__doc__)
    asked.add_argument("machines", type=int, nargs="?", default=10000)
    asked.add_argument("planned", type=int, nargs="?", default=1000)
    args = asked.parse_args()
    found = measure(20, 5) if args.small else measure(args.machines, args.planned)
    print(json.dumps(found, indent=1))
    if not args.small:
        keep("inventory", found)


if __name__ == "__main__":
    from vcenter.paper import USER

    if sys.argv[1:2] == ["--read"]:
        host, port, fingerprint, planned = sys.argv[2:]
        print(json.dumps(read(host, int(port), fingerprint, int(planned))))
    else:
        main()
