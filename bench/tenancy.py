"""How long 200 resources take to be imported, and in how many requests, against one after the other; and how long 5,000
take to be validated.

    .venv/bin/python bench/tenancy.py [--runs 3] [--small]      the small cloud of the tests, each answer after 50 ms
    lab/lab run .venv/bin/python bench/tenancy.py --lab         the lab's cloud too, in projects of its own

"One after the other" is a script as one writes it with openstacksdk, and as OS-Migrate works: for each resource look
whether one of its name is there, look up those that it names, make it, set its tags; then the next. All end with the
same in the cloud, and run a second time to find that nothing is to be done. Results go to bench/results/tenancy.json.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests" / "tenancy"), str(HERE.parent / "tests" / "lab")]

from outcome import about_machine, keep, need_lab, now, parser  # noqa: E402
from resource_files import Files, group, imported, interface, network, ref, router, rule, subnet  # noqa: E402
from small_cloud import SmallCloud  # noqa: E402

import longshore.tenancy.carry_out as carry_out  # noqa: E402
from longshore.tenancy import validate  # noqa: E402

KINDS = "networks,subnets,security_groups,security_group_rules,routers,router_interfaces"
LATENCY = 0.05  # seconds: what a cloud across a country, or a busy one, takes to answer


def furnish(files: Files, tenth: int = 10) -> int:
    """40 networks with a subnet each, 30 of them on 10 routers, 20 groups with 3 rules each that name other groups; for
    another `tenth` as many times less or more."""
    subnets = range(4 * tenth)
    files.write("networks.yml", *(network(f"net-{n}", tags=["bench"]) for n in subnets))
    subnets = [subnet(f"sub-{n}", f"10.70.{n}.0/24", f"net-{n}", gateway_ip=f"10.70.{n}.1", tags=[]) for n in subnets]
    files.write("subnets.yml", *subnets)
    files.write("routers.yml", *(router(f"router-{n}", tags=["bench"]) for n in range(tenth)))
    files.write(
        "router_interfaces.yml",
        *(interface(f"router-{n % tenth}", f"net-{n}", (f"sub-{n}", f"10.70.{n}.1")) for n in range(3 * tenth)),
    )
    groups = 2 * tenth
    files.write("security_groups.yml", *(group(f"group-{n}", description="bench") for n in range(groups)))
    rules = [
        rule(f"group-{n}", protocol="tcp", port_range_min=p, port_range_max=p, remote_group_ref=ref(f"group-{m}"))
        for n in range(groups)
        for m, p in (((n + 1) % groups, 80), ((n + 2) % groups, 443), (n, 22))
    ]
    files.write("security_group_rules.yml", *rules)
    return sum(map(len, files.params().values()))


def plain_way(cloud: Any, files: Files) -> None:
    """One resource after the other, each looked up before it's made."""
    net, mine = cloud.network, {"project_id": cloud.current_project_id}

    def simple(kind: str, params: dict[str, Any], **refs: Any) -> None:
        if getattr(net, f"find_{kind}")(params["name"], **mine) is None:
            body = {k: v for k, v in params.items() if k != "tags" and not k.endswith("_ref")}
            made = getattr(net, f"create_{kind}")(**body, **refs)
            if params.get("tags"):
                net.set_tags(made, params["tags"])
            if kind == "security_group":
                for each in net.security_group_rules(security_group_id=made.id):
                    net.delete_security_group_rule(each)

    params = files.params()
    for each in params["networks.yml"]:
        simple("network", each)
    for each in params["subnets.yml"]:
        simple("subnet", each, network_id=net.find_network(each["network_ref"]["name"], **mine).id)
    for each in params["security_groups.yml"]:
        simple("security_group", each)
    for each in params["security_group_rules.yml"]:
        group_id = net.find_security_group(each["security_group_ref"]["name"], **mine).id
        remote_id = net.find_security_group(each["remote_group_ref"]["name"], **mine).id
        body = {k: v for k, v in each.items() if not k.endswith("_ref")}
        wanted = {"security_group_id": group_id, "remote_group_id": remote_id, **body}
        there = net.security_group_rules(**{k: wanted[k] for k in ("security_group_id", "remote_group_id")})
        if not any(each["port_range_min"] == one.port_range_min for one in there):
            net.create_security_group_rule(**wanted)
    for each in params["routers.yml"]:
        simple("router", each)
    for each in params["router_interfaces.yml"]:
        router_id = net.find_router(each["device_ref"]["name"], **mine).id
        network_id = net.find_network(each["network_ref"]["name"], **mine).id
        ip = each["fixed_ips_refs"][0]
        subnet_id = net.find_subnet(ip["subnet_ref"]["name"], **mine).id
        ports = net.ports(network_id=network_id)
        if not any(ip["ip_address"] in [one["ip_address"] for one in port.fixed_ips] for port in ports):
            net.add_interface_to_router(router_id, subnet_id)


def our_way(cloud: Any, files: Files) -> None:
    actions = {row.action for row in imported(cloud, files.path, KINDS).rows}
    assert actions <= {"made", "left"}, actions


def our_way_serially(cloud: Any, files: Files) -> None:
    """What looking at everything once is worth by itself."""
    workers, carry_out.WORKERS = carry_out.WORKERS, 1
    our_way(cloud, files)
    carry_out.WORKERS = workers


WAYS: dict[str, Callable[[Any, Files], None]] = {
    "longshore": our_way,
    "longshore, one request at a time": our_way_serially,
    "one after the other": plain_way,
}
IN_THE_LAB = ("longshore", "one after the other")


def count_requests(cloud: Any) -> list[str]:
    """Everything that this connection sends from now on."""
    sent: list[str] = []
    send = cloud.session.request

    def counted(url: str, method: str, **how: Any) -> Any:
        sent.append(f"{method} {url}")
        return send(url, method, **how)

    cloud.session.request = counted
    return sent


def measure(cloud: Any, way: str, files: Files) -> dict[str, Any]:
    cloud.network.extensions()  # logged in, as whoever runs second would be
    sent = count_requests(cloud)
    figures: dict[str, Any] = {}
    for when in ("first", "second"):
        sent.clear()
        begun = time.monotonic()
        WAYS[way](cloud, files)
        figures[f"{when}_s"] = round(time.monotonic() - begun, 2)
        figures[f"{when}_requests"] = len(sent)
    print(f"  {way}: {figures}", flush=True)
    return figures


class SlowCloud(SmallCloud):
    """Answers after a while, to any number at once."""

    def handle(self, *asked: Any) -> Any:
        # The lock is the handler's; others are answered while this one sleeps
        self.lock.release()
        time.sleep(LATENCY)
        self.lock.acquire()
        return super().handle(*asked)


def in_the_small_cloud(files: Files, runs: int) -> dict[str, Any]:
    print(f"small cloud, {LATENCY * 1000:.0f} ms per answer")
    taken: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with SlowCloud() as small:
        for number in range(runs):
            for way in WAYS:
                taken[way].append(measure(small.connect(f"{way} {number}"), way, files))
    return {way: {name: median(run[name] for run in of) for name in of[0]} | {"runs": of} for way, of in taken.items()}


def in_the_lab(files: Files) -> dict[str, Any]:
    """Once: Neutron takes about a second for a resource on two processors that it shares."""
    import openstack
    from tenants import tenants

    print("lab")
    clouds = need_lab("tenancy.py --lab") / "etc" / "clouds.yaml"
    admin = openstack.connect(cloud="lab-admin")
    with tempfile.TemporaryDirectory() as directory, tenants(clouds, admin, Path(directory)) as (two, _):
        for tenant in two:
            admin.network.update_quota(
                tenant.id, routers=50, security_groups=50, security_group_rules=500, networks=100, subnets=100
            )
        return {way: measure(tenant.cloud, way, files) for way, tenant in zip(IN_THE_LAB, two, strict=True)}


def validating(count: int = 5000) -> dict[str, Any]:
    """A fifth each of networks, subnets, groups and rules (two fifths), as an export writes them."""
    with a_directory() as files:
        fifth = count // 5
        info = {"id": "0a1b2c3d-0000-4000-8000-000000000001", "created_at": "2026-01-01T00:00:00Z", "status": "ACTIVE"}
        net = [network(f"n{n}", description="", mtu=1500, is_admin_state_up=True, tags=[]) for n in range(fifth)]
        cidrs = [f"10.{n // 250}.{n % 250}.0/24" for n in range(fifth)]
        sub = [subnet(f"s{n}", cidrs[n], f"n{n}", host_routes=[], dns_nameservers=["9.9.9.9"]) for n in range(fifth)]
        groups = [group(f"g{n}", description="") for n in range(fifth)]
        rules = [rule(f"g{n % fifth}", port_range_min=n + 1, port_range_max=n + 1, protocol="tcp",
                      remote_group_ref=ref(f"g{n // 2}")) for n in range(2 * fifth)]  # fmt: skip
        for name, listed in (("networks", net), ("subnets", sub), ("security_groups", groups),
                             ("security_group_rules", rules)):  # fmt: skip
            files.write(f"{name}.yml", *({"_info": info, "_migration_params": {}} | each for each in listed))
        size = sum(path.stat().st_size for path in files.path.glob("*.yml"))
        seconds = []
        for _ in range(5):
            begun = time.monotonic()
            resources, faults = validate(files.path)
            seconds.append(round(time.monotonic() - begun, 2))
        assert (len(resources), faults) == (count, []), faults[:3]
    print(f"{count} resources validated: {seconds}")
    return {"resources": count, "mb": round(size / 1e6, 1), "seconds": median(seconds), "runs": seconds}


@contextmanager
def a_directory() -> Iterator[Files]:
    with tempfile.TemporaryDirectory() as path:
        yield Files(Path(path))


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--lab", action="store_true")
    args = asked.parse_args()
    if args.lab:
        need_lab("tenancy.py --lab")
    with a_directory() as files:
        if args.small:
            furnish(files, 1)
            validating(50)
            in_the_small_cloud(files, 1)
            return
        results = {
            "at": now(),
            "machine": about_machine(),
            "resources": furnish(files),
            "latency_s": LATENCY,
            "validate": validating(),
            "small_cloud": in_the_small_cloud(files, args.runs),
        }
        if args.lab:
            results["lab"] = in_the_lab(files)
    keep("tenancy", results)


if __name__ == "__main__":
    main()
