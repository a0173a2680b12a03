"""Load balancers as files between two projects, with a real Octavia."""

import json

import pytest
from octavia import ROLE, octavia
from tenants import params, replace, rows, tenants

from conftest import Cli, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

KINDS = "load_balancers,load_balancer_pools,listeners,load_balancer_members,health_monitors,l7_policies,l7_rules"
ONLY = f"networks,subnets,{KINDS}"
MADE = {
    "longshore/health_monitors.yml": 1,
    "longshore/l7_policies.yml": 1,
    "longshore/l7_rules.yml": 1,
    "longshore/listeners.yml": 1,
    "longshore/load_balancer_members.yml": 2,
    "longshore/load_balancer_pools.yml": 2,
    "longshore/load_balancers.yml": 1,
    "networks.yml": 1,
    "subnets.yml": 1,
}


@pytest.fixture
def projects(lab, admin_cloud, tmp_path):
    """Two projects, whose users lack Octavia's role at first."""
    with (
        octavia(lab, admin_cloud),
        tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, tmp_path) as ((full, empty), clouds),
    ):
        cli = Cli(tmp_path / "state", {"OS_CLIENT_CONFIG_FILE": str(clouds)})
        for tenant in (full, empty):
            done = cli("provider", "add", "openstack", tenant.name, "--os-cloud", tenant.name)
            assert done.returncode == 0, done.stderr
        yield cli, full, empty


def balance(cloud):
    """A web shop's, as its people would have made it."""
    network = cloud.network.create_network(name="front")
    subnet = cloud.network.create_subnet(name="front-v4", network_id=network.id, ip_version=4, cidr="10.81.0.0/24")
    service = cloud.load_balancer
    balancer = service.create_load_balancer(name="shop", vip_network_id=network.id, vip_subnet_id=subnet.id)

    def ready():
        wait_for(
            lambda: service.get_load_balancer(balancer.id).provisioning_status == "ACTIVE", 120, "the load balancer"
        )

    def make(what, *above, **how):
        ready()
        return getattr(service, f"create_{what}")(*above, **how)

    http = {"protocol": "HTTP", "loadbalancer_id": balancer.id, "lb_algorithm": "ROUND_ROBIN"}
    pages = make("pool", name="pages", session_persistence={"type": "HTTP_COOKIE"}, **http)
    pictures = make("pool", name="pictures", **{**http, "lb_algorithm": "SOURCE_IP"})
    listener = make(
        "listener",
        name="http",
        protocol="HTTP",
        protocol_port=80,
        loadbalancer_id=balancer.id,
        default_pool_id=pages.id,
        insert_headers={"X-Forwarded-For": "true"},
        allowed_cidrs=["192.0.2.0/24"],
    )
    make("member", pages.id, address="10.81.0.11", protocol_port=8080, subnet_id=subnet.id, weight=3)
    make("member", pictures.id, address="10.81.0.12", protocol_port=8081, name="pics", backup=True)
    how = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
    make("health_monitor", pool_id=pages.id, name="up", url_path="/health", expected_codes="200,204", **how)
    policy = make(
        "l7_policy",
        name="pictures",
        listener_id=listener.id,
        action="REDIRECT_TO_POOL",
        redirect_pool_id=pictures.id,
    )
    make("l7_rule", policy.id, type="PATH", compare_type="STARTS_WITH", value="/img")
    ready()


def test_load_balancers_move_as_files(projects, admin_cloud, tmp_path):
    cli, full, empty = projects
    first, second = tmp_path / "first", tmp_path / "second"

    def export(tenant, directory, *more):
        done = cli("tenant", "export", "--cloud", tenant.name, str(directory), *more, "-f", "json")
        assert done.returncode == 0, done.stderr
        return done

    lacking = export(full, tmp_path / "none", "--only", KINDS)
    assert "left out, since this user lacks the role for the load-balancer service" in lacking.stderr
    for tenant in (full, empty):
        admin_cloud.identity.assign_project_role_to_user(
            tenant.id, tenant.user_id, admin_cloud.identity.find_role(ROLE)
        )
        tenant.cloud.session.auth.invalidate()
    balance(full.cloud)
    done = export(full, first, "--only", ONLY)
    assert {row["File"]: row["Resources"] for row in json.loads(done.stdout)} == MADE
    valid = cli("tenant", "validate", str(first), "-f", "json")
    assert (valid.returncode, json.loads(valid.stdout)) == (0, []), valid.stdout

    report = cli("tenant", "import", "--cloud", empty.name, str(first), "-f", "json")
    assert len(rows(report, "made")) == sum(MADE.values()), report.stderr
    again = cli("tenant", "import", "--cloud", empty.name, str(first), "-f", "json")
    assert rows(again, "made", "changed", "failed") == {}
    export(empty, second, "--only", ONLY)
    assert params(second) == params(first)

    # and what is edited is changed there, all of one load balancer in turn
    replace(first, "delay: 5", "delay: 7")
    replace(first, "weight: 3", "weight: 4")
    changed = rows(cli("tenant", "import", "--cloud", empty.name, str(first), "-f", "json"), "changed")
    assert set(changed) == {("health monitor", "up"), ("load balancer member", "pages 10.81.0.11 8080")}
    service = empty.cloud.load_balancer
    (monitor,) = service.health_monitors(project_id=empty.id)
    (pages,) = service.pools(name="pages", project_id=empty.id)
    assert (monitor.delay, [member.weight for member in service.members(pages.id)]) == (7, [4])
    (rule,) = service.l7_rules(next(iter(service.l7_policies(project_id=empty.id))).id)
    assert (rule.type, rule.rule_value) == ("PATH", "/img")
