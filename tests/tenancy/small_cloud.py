"""A small cloud that speaks HTTP: enough of Keystone, Neutron, Nova and Glance for openstacksdk, kept in memory.

The lab's real cloud shows whether requests are right. This one does what a real one rarely does: it fails at a chosen
request, has two networks of one name, and services that the lab's cloud doesn't have.
"""

import ipaddress
import json
import re
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from requests import Request, Response, Session
from requests.structures import CaseInsensitiveDict
from small_balancing import SmallBalancing
from small_compute import SmallCompute
from small_images import SmallImages
from small_policies import refusal, told
from small_volumes import SmallVolumes

from longshore.providers.openstack.connection import OpenstackSettings, connect

EXTENSIONS = (
    "address-group",
    "address-scope",
    "subnet_allocation",
    "router",
    "rbac-policies",
    "trunk",
    "qos",
    "flavors",
    "standard-attr-tag",
    "external-net",
    "port-security",
    "net-mtu",
    "availability_zone",
    "network_availability_zone",
    "router_availability_zone",
    "provider",
    "multi-provider",
    "dns-integration",
    "vlan-transparent",
    "auto-allocated-topology",
    "subnet-service-types",
    "dvr",
    "l3-ha",
    "ext-gw-mode",
    "extraroute",
    "allowed-address-pairs",
    "binding",
    "extra_dhcp_opt",
    "qos-fip",
    "stateful-security-group",
    "security-groups-remote-address-group",
)

# What the network service fills in, by collection
DEFAULTS = {
    "networks": {
        "admin_state_up": True,
        "shared": False,
        "router:external": False,
        "mtu": 1500,
        "port_security_enabled": True,
        "availability_zone_hints": [],
        "subnets": [],
        "qos_policy_id": None,
    },
    "subnets": {
        "allocation_pools": [],
        "dns_nameservers": [],
        "host_routes": [],
        "enable_dhcp": True,
        "service_types": [],
        "gateway_ip": None,
        "subnetpool_id": None,
    },
    "routers": {"admin_state_up": True, "routes": [], "external_gateway_info": None, "availability_zone_hints": []},
    "ports": {
        "admin_state_up": True,
        "device_owner": "",
        "device_id": "",
        "fixed_ips": [],
        "security_groups": [],
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
        "port_security_enabled": True,
    },
    "security-groups": {"stateful": True, "shared": False, "security_group_rules": []},
    "security-group-rules": {
        "ethertype": "IPv4",
        "protocol": None,
        "port_range_min": None,
        "port_range_max": None,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "remote_address_group_id": None,
    },
    "qos/policies": {"rules": [], "shared": False, "is_default": False},
    "trunks": {"sub_ports": [], "admin_state_up": True},
    "floatingips": {"port_id": None, "fixed_ip_address": None},
    "subnetpools": {"shared": False, "is_default": False},
}
RULE = ("security_group_id", "direction", *DEFAULTS["security-group-rules"])  # what makes two rules the same


def as_compared(rule):
    """Return a rule as Neutron compares rules: one for all addresses is the same as one without a prefix."""
    return [None if rule.get(name) in ("0.0.0.0/0", "::/0") else rule.get(name) for name in RULE]


SINGLE = {"address-groups": "address_group", "qos/policies": "policy", "rbac-policies": "rbac_policy"}


class Calls(Session):
    """A session of requests that calls a small cloud instead of asking it by HTTP, but for the bytes of images."""

    def __init__(self, cloud):
        super().__init__()
        self.cloud = cloud

    def request(self, method, url, **how):
        to = urlsplit(url)
        if to.path.endswith("/file"):
            return super().request(method, url, **how)
        query = dict(parse_qsl(to.query)) | {name: str(value) for name, value in (how.get("params") or {}).items()}
        status, headers, data = self.cloud.answer(method, to.path, query, how["headers"], how.get("data"))
        answer = Response()
        answer.request, answer.url = Request(method, url, how["headers"]), url
        answer.status_code, answer.headers, answer._content = status, CaseInsensitiveDict(headers), data
        return answer


class SmallCloud(SmallImages):
    """Use as a context manager; `connect` gives a member's connection to one of its projects."""

    def __init__(self, extensions=EXTENSIONS, balancing=False, volumes=False):
        super().__init__()
        self.extensions = list(extensions)
        self.balancing = SmallBalancing() if balancing else None
        self.volumes = SmallVolumes() if volumes else None
        self.things = {}  # by collection, by id
        self.seen_by = {}  # by id: the other projects that may see something; without a word here all may
        self.compute = SmallCompute()
        self.users = {}  # names by id: what an administrator may list
        self.options = {}  # of users, by id
        self.identity = {}  # what else an administrator may list, by collection
        self.most_users, self.keystone_has_pages = None, True  # how many at once
        self.requests = Counter()  # (method, collection)
        self.log = []
        self.faults = []  # [method, path pattern, status, how often]
        self.quota = {}
        self.forwardings = {}  # by floating IP's id
        self.helpers = {}  # by router's id
        self.largest_mtu = 9000
        self.rules_of_new_groups = [{"direction": "egress", "ethertype": version} for version in ("IPv4", "IPv6")]
        self.network_types = ["vxlan", "flat", "vlan"]
        self.zones = ["nova"]
        self.lock = threading.RLock()

    def __enter__(self):
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                if url.path.endswith("/file"):
                    cloud.bytes_of_image(self, url.path.split("/")[-2], body)
                    return
                status, headers, data = cloud.answer(
                    self.command, url.path, dict(parse_qsl(url.query)), self.headers, body
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def connect(self, project="here", by_call=False):
        """Return a member's connection. `by_call`: requests are answered by calls, which takes half as long as HTTP."""
        who = {
            "auth_url": f"{self.url}/v3",
            "username": f"user-of-{project}",
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        connection = connect(OpenstackSettings(auth=who, auth_type="v3password", region="R"), {"password": "x"})
        if by_call:
            connection.session.session = Calls(self)
        return connection

    def fail(self, method, pattern, status=500, times=1):
        self.faults.append([method, pattern, status, times])

    def made(self):
        return sum(count for (method, _), count in self.requests.items() if method in ("POST", "PUT", "DELETE"))

    # Answers

    def answer(self, method, path, query, headers, body):
        """Return the status, the headers and the bytes of the answer to a request."""
        body = json.loads(body) if body else None
        with self.lock:
            self.compute.asked = (headers.get("OpenStack-API-Version") or "compute 2.1").split()[-1]
            asker = headers.get("X-Auth-Token", "")
            status, answered = self.handle(method, path, query, body, asker)
        data = b"" if answered is None else json.dumps(answered).encode()
        answered = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        if path == "/v3/auth/tokens":
            answered["X-Subject-Token"] = body["auth"]["scope"]["project"]["name"]
        return status, answered, data

    def handle(self, method, path, query, body, project):
        if path.startswith("/v3"):
            return self.keystone(path, query, body, project)
        self.requests[method, path.split("/")[-2 if path.count("/") > 2 else -1]] += 1
        self.log.append((method, path, body))
        for fault in self.faults:
            if fault[0] == method and re.search(fault[1], path) and fault[3] > 0:
                fault[3] -= 1
                return fault[2], {"NeutronError": {"type": "X", "message": "as the test asked", "detail": ""}}
        if path.startswith("/load-balancer"):
            return self.balancing.handle(self, method, path.removeprefix("/load-balancer"), query, body, project)
        if path.startswith("/volume"):
            return self.volumes.handle(self, method, path.removeprefix("/volume/v3").strip("/"), body)
        if path.startswith("/image"):
            return self.glance(method, path, query, body, project)
        if path.startswith("/compute"):
            if not path.removeprefix("/compute/v2.1").strip("/"):
                return 200, {"version": self.compute.version(self.url)}
            return self.compute.handle(method, path.removeprefix("/compute/v2.1").strip("/"), query, body, project)
        return self.neutron(method, path.removeprefix("/network/v2.0").strip("/"), query, body, project)

    def keystone(self, path, query, body, project):
        if path in ("/v3", "/v3/"):
            links = [{"rel": "self", "href": f"{self.url}/v3/"}]
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": links}}
        if path == "/v3/users" and project == "admin":
            if body:
                identity = f"id-{body['user']['name']}"
                self.users[identity] = body["user"]["name"]
                self.options[identity] = body["user"].get("options", {})
                return 201, {"user": {"id": identity, **body["user"]}}
            listed, after = {"user-of-admin": "user-of-admin", **self.users}, query.get("marker", "")
            users = [
                {
                    "id": i,
                    "name": listed[i],
                    "domain_id": "default",
                    "enabled": True,
                    "options": self.options.get(i, {}),
                }
                for i in sorted(listed)
                if i > after
            ]
            return 200, {"users": users[: self.most_users], **self.further(users, path)}
        collection = path.removeprefix("/v3/")
        if project == "admin" and collection in self.identity:
            return 200, {collection: self.identity[collection], "links": {}}
        if path != "/v3/auth/tokens":
            return 403, {"error": {"code": 403, "message": "not for members", "title": "Forbidden"}}
        project = body["auth"]["scope"]["project"]["name"]
        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [
                {"interface": "public", "url": f"{self.url}{path}", "region": "R", "region_id": "R", "id": kind}
            ]}
            for kind, path in (
                ("identity", "/v3"), ("network", "/network"), ("compute", "/compute/v2.1"), ("image", "/image"),
                *([("load-balancer", "/load-balancer")] if self.balancing else []),
                *([("block-storage", "/volume/v3")] if self.volumes else []),
            )
        ]  # fmt: skip
        domain = {"id": "default", "name": "Default"}
        return 201, {"token": {
            "methods": ["password"], "issued_at": "2026-01-01T00:00:00.0Z", "expires_at": "2099-01-01T00:00:00.0Z",
            "user": {"id": f"user-of-{project}", "name": f"user-of-{project}", "domain": domain},
            "project": {"id": project, "name": project, "domain": domain}, "is_domain": False,
            "roles": [{"id": "m", "name": "admin" if project == "admin" else "member"}], "catalog": catalog,
        }}  # fmt: skip

    def further(self, users, path):
        """Return what Keystone says beside a list. Older versions only say that it was cut off."""
        if self.most_users is None or len(users) <= self.most_users:
            return {"links": {"next": None, "self": path, "previous": None}}
        after = f"http://inside.example{path}?marker={users[self.most_users - 1]['id']}"
        return {"links": {"next": after if self.keystone_has_pages else None}, "truncated": True}

    def neutron(self, method, path, query, body, project):
        if path in ("", "v2.0"):
            links = [{"rel": "self", "href": f"{self.url}/network/v2.0"}]
            return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}
        if path == "extensions":
            return 200, {"extensions": [{"alias": alias, "name": alias} for alias in self.extensions]}
        if path.startswith("quotas"):
            return 200, {"quota": {k: {"limit": v, "used": 0, "reserved": 0} for k, v in self.quota.items()}}
        if path == "availability_zones":
            of_each = [{"resource": "network", "state": "available"}, {"resource": "router", "state": "available"}]
            return 200, {"availability_zones": [{"name": name, **of} for name in self.zones for of in of_each]}
        parts = path.split("/")
        head = 2 if parts[0] in ("qos", "fwaas", "vpn") else 1
        collection, rest = "/".join(parts[:head]), parts[head:]
        if len(rest) > 1 and collection == "qos/policies":
            policy = self.things[collection][rest[0]]
            rule = {"id": str(uuid.uuid4()), "type": rest[1].removesuffix("_rules"), **next(iter(body.values()))}
            policy["rules"].append(rule)
            return 201, {rest[1].removesuffix("s"): rule}
        return self.crud(method, collection, rest, query, body, project)

    def crud(self, method, collection, rest, query, body, project):
        there = self.things.setdefault(collection, {})
        plural = collection.rpartition("/")[2].replace("-", "_")
        single = SINGLE.get(collection, plural.removesuffix("s"))
        if not rest and method == "GET":
            found = [t for t in there.values() if all(str(t.get(k)) == v for k, v in query.items() if k in t)]
            seen = [t for t in found if project in (t["project_id"], *self.seen_by.get(t["id"], [project]))]
            return 200, {plural: [told(self, collection, t, project) for t in seen]}
        if body and single in body and (refused := refusal(self, collection, body[single], project, change=bool(rest))):
            return refused[0], {"NeutronError": {"type": "Refused", "message": refused[1], "detail": ""}}
        if not rest:
            if collection == "security-group-rules" and self.same_rule(body[single]):
                return 409, {"NeutronError": {"type": "SecurityGroupRuleExists", "message": "is there", "detail": ""}}
            made = self.add(collection, body[single], project)
            if isinstance(made, str):
                return 400, {"NeutronError": {"type": "InvalidInput", "message": made, "detail": ""}}
            return 201, {single: told(self, collection, made, project)}
        thing = there.get(rest[0])
        if thing is None:
            return 404, {"NeutronError": {"type": "NotFound", "message": f"no {rest[0]}", "detail": ""}}
        if rest[1:] == ["port_forwardings"]:
            return 200, {"port_forwardings": self.forwardings.get(rest[0], [])}
        if rest[1:] == ["conntrack_helpers"]:
            return 200, {"conntrack_helpers": self.helpers.get(rest[0], [])}
        if rest[1:] == ["tags"]:
            thing["tags"] = body["tags"]
            return 200, {"tags": body["tags"]}
        if rest[1:] == ["add_router_interface"]:
            added = self.add_interface(thing, body)
            if isinstance(added, str):
                return 400, {"NeutronError": {"type": "BadRequest", "message": added, "detail": ""}}
            return 200, added
        if method == "PUT":
            thing.update(body[single])
        elif method == "DELETE":
            self.drop(collection, rest[0])
            return 204, None
        return 200, {single: told(self, collection, thing, project)}

    def add(self, collection, given, project):
        thing = {"id": str(uuid.uuid4()), "project_id": project, "description": "", "tags": [], "revision_number": 1}
        thing |= json.loads(json.dumps(DEFAULTS.get(collection, {}))) | given
        self.things.setdefault(collection, {})[thing["id"]] = thing
        if collection == "security-groups":
            for rule in self.rules_of_new_groups:
                self.add("security-group-rules", {"security_group_id": thing["id"], **rule}, project)
        elif collection == "security-group-rules":
            self.as_neutron_keeps(thing)
            group = self.things["security-groups"].get(thing["security_group_id"])
            group["security_group_rules"].append(thing)
        elif collection == "floatingips":
            thing["floating_ip_address"] = f"203.0.113.{len(self.things[collection])}"
        elif collection == "ports":
            if wrong := self.give_automatic_addresses(thing):
                del self.things["ports"][thing["id"]]
                return wrong
            thing.setdefault("mac_address", f"fa:16:3e:00:00:{len(self.things[collection]):02x}")
            if "fixed_ips" not in given:
                thing["fixed_ips"] += self.one_of_each_version(thing)
            for ip in thing["fixed_ips"]:
                ip.setdefault("ip_address", self.free_address(ip["subnet_id"]))
            for pair in thing["allowed_address_pairs"]:
                pair.setdefault("mac_address", thing["mac_address"])
        elif collection == "routers" and thing["external_gateway_info"]:
            outside = {"subnet_id": "outside", "ip_address": f"203.0.113.{200 + len(self.things[collection])}"}
            thing["external_gateway_info"] = {
                "enable_snat": True,
                "external_fixed_ips": [outside],
            } | thing["external_gateway_info"]
        return thing

    def as_neutron_keeps(self, rule):
        if rule["ethertype"] == "IPv6" and rule["protocol"] in ("icmp", "icmpv6"):
            rule["protocol"] = "ipv6-icmp"
        if (rule["port_range_min"], rule["port_range_max"]) == (1, 65535):
            rule["port_range_min"] = rule["port_range_max"] = None

    def same_rule(self, given):
        wanted = DEFAULTS["security-group-rules"] | given
        self.as_neutron_keeps(wanted)
        return any(as_compared(rule) == as_compared(wanted) for rule in self.things["security-group-rules"].values())

    def give_automatic_addresses(self, port):
        """A plain port has one of every automatic subnet of its network, which it can't choose; a router's may."""
        if port["device_owner"]:
            return None
        there = self.things.get("subnets", {}).values()
        automatic = {s["id"]: s for s in there if s.get("ipv6_address_mode") in ("slaac", "dhcpv6-stateless")}
        for ip in port["fixed_ips"]:
            if ip["subnet_id"] in automatic and "ip_address" in ip:
                return f"IPv6 address {ip['ip_address']} cannot be directly assigned to a port on subnet"
        chosen = [ip for ip in port["fixed_ips"] if ip["subnet_id"] not in automatic]
        mine = [s for s in automatic.values() if s["network_id"] == port["network_id"]]
        given = [
            {"subnet_id": s["id"], "ip_address": f"{ipaddress.ip_network(s['cidr'])[0]}{uuid.uuid4().hex[:4]}"}
            for s in mine
        ]
        port["fixed_ips"] = chosen + given
        return None

    def one_of_each_version(self, port):
        """Subnets of which a port that doesn't say gets an address: those that are there when it is made."""
        there = [s for s in self.things.get("subnets", {}).values() if s["network_id"] == port["network_id"]]
        chosen = [s for s in there if not s.get("ipv6_address_mode")]
        by_version = {s["ip_version"]: s["id"] for s in reversed(chosen)}
        return [{"subnet_id": identity} for identity in by_version.values()]

    def free_address(self, subnet_id):
        subnet = self.things["subnets"][subnet_id]
        taken = {ip.get("ip_address") for port in self.things["ports"].values() for ip in port["fixed_ips"]}
        hosts = ipaddress.ip_network(subnet["cidr"]).hosts()
        return next(str(each) for each in hosts if str(each) not in {*taken, subnet["gateway_ip"]})

    def add_interface(self, router, body):
        mine = [port for port in self.things.get("ports", {}).values() if port["device_id"] == router["id"]]
        taken = {ip["subnet_id"] for port in mine for ip in port["fixed_ips"]}
        if "port_id" in body:
            port = self.things["ports"][body["port_id"]]
            wanted = {ip["subnet_id"] for ip in port["fixed_ips"]}
        else:
            wanted = {body["subnet_id"]}
        if wanted & taken:
            return "Router already has a port on subnet"
        if "port_id" not in body:
            subnet = self.things["subnets"][body["subnet_id"]]
            if subnet["gateway_ip"] is None:
                return "Subnet for router interface must have a gateway IP"
            ips = [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}]
            for port in mine:  # of IPv6, all of a network are the same port's
                both = (ips[0]["ip_address"], port["fixed_ips"][0]["ip_address"])
                if port["network_id"] == subnet["network_id"] and all(":" in address for address in both):
                    port["fixed_ips"] += ips
                    return {"port_id": port["id"], "id": router["id"]}
            of_router = {"network_id": subnet["network_id"], "device_owner": "network:router_interface"}
            port = self.add("ports", of_router | {"fixed_ips": ips}, router["project_id"])
        port |= {"device_id": router["id"], "device_owner": "network:router_interface"}
        return {"port_id": port["id"], "id": router["id"]}

    def drop(self, collection, identity):
        thing = self.things[collection].pop(identity)
        if collection == "security-group-rules":
            group = self.things["security-groups"][thing["security_group_id"]]
            group["security_group_rules"] = [r for r in group["security_group_rules"] if r["id"] != identity]
