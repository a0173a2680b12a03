"""The load-balancer service of a small cloud: its documented API, kept in memory.

As with Octavia, every change takes a while, and nothing of the same load balancer can be changed meanwhile.
"""

import json
import uuid

SINGLE = {"loadbalancers": "loadbalancer", "healthmonitors": "healthmonitor", "l7policies": "l7policy"}
TAKES = 2  # looks at the load balancer until a change is done
DEFAULTS = {
    "loadbalancers": {"provider": "amphora", "vip_address": "10.1.0.77", "flavor_id": None, "vip_qos_policy_id": None},
    "listeners": {"connection_limit": -1, "default_pool_id": None, "timeout_client_data": 50000, "insert_headers": {}},
    "pools": {"session_persistence": None, "tls_enabled": False, "healthmonitor_id": None},
    "healthmonitors": {"max_retries_down": 3, "http_method": None, "url_path": None, "expected_codes": None},
    "l7policies": {
        "position": 1,
        "redirect_http_code": None,
        "redirect_pool_id": None,
        "redirect_url": None,
        "redirect_prefix": None,
    },
    "members": {"weight": 1, "backup": False, "monitor_address": None, "monitor_port": None},
    "rules": {"invert": False, "key": None},
}


class SmallBalancing:
    def __init__(self):
        self.things = {}  # by collection, by id
        self.providers = ["amphora", "octavia"]
        self.pending = {}  # by load balancer: looks until it is ready
        self.refused = 0  # changes that came too early
        self.strangers = set()  # projects whose users lack the role
        self.meanwhile = None  # a load balancer that somebody else changes just now
        self.breaks = False  # the next load balancer that is made can't be set up

    def handle(self, cloud, method, path, query, body, project):
        if path.strip("/") in ("", "v2", "v2.0"):
            links = [{"rel": "self", "href": f"{cloud.url}/load-balancer/v2"}]
            return 200, {"versions": [{"id": "v2.26", "status": "CURRENT", "links": links}]}
        if project in self.strangers:
            return 403, {"faultcode": "Client", "faultstring": "Policy does not allow this request to be performed."}
        if path.endswith("/lbaas/providers"):
            return 200, {"providers": [{"name": name, "description": ""} for name in self.providers]}
        if path.endswith("/lbaas/availabilityzones"):
            return 404, {"faultcode": "Client", "faultstring": "Not Found"}
        parts = path.partition("/lbaas/")[2].strip("/").split("/")
        collection, rest, above = parts[0], parts[1:], None
        if len(rest) > 1:
            above, collection, rest = rest[0], rest[1], rest[2:]
        there = self.things.setdefault(collection, {})
        single = SINGLE.get(collection, collection.removesuffix("s"))
        if method == "GET" and not rest:
            listed = [t for t in there.values() if t["project_id"] == query.get("project_id", t["project_id"])]
            if above:
                listed = [t for t in listed if above in (t.get("pool_id"), t.get("l7policy_id"))]
            return 200, {collection: [self.told(t) for t in listed]}
        if method == "GET":
            return (200, {single: self.told(self.look(there[rest[0]]))}) if rest[0] in there else (404, {})
        given = body[single]
        thing = there.get(rest[0]) if rest else {**self.new(collection, project), **given}
        if above and not rest:
            thing |= {"pool_id" if collection == "members" else "l7policy_id": above}
        balancer = self.balancer_of(collection, thing)
        if balancer != thing["id"] and (balancer not in self.things["loadbalancers"]):
            return 404, {"faultstring": f"no load balancer {balancer}"}
        if self.pending.get(balancer) or self.meanwhile == balancer:
            self.meanwhile = None
            self.refused += 1
            text = f"Load Balancer {balancer} is immutable and cannot be updated."
            return 409, {"faultcode": "Client", "faultstring": text}
        self.pending[balancer] = TAKES
        thing |= given
        there[thing["id"]] = thing
        if collection == "healthmonitors":
            self.things["pools"][thing["pool_id"]]["healthmonitor_id"] = thing["id"]
        if collection == "loadbalancers":
            thing.setdefault("vip_port_id", f"port-{thing['id']}")
            thing["broken"], self.breaks = self.breaks, False
        return 201 if not rest else 200, {single: self.told(thing)}

    def new(self, collection, project):
        thing = {"id": str(uuid.uuid4()), "project_id": project, "name": "", "description": "", "admin_state_up": True}
        return thing | json.loads(json.dumps(DEFAULTS.get(collection, {})))

    def look(self, thing):
        if self.pending.get(thing["id"]):
            self.pending[thing["id"]] -= 1
        return thing

    def told(self, thing):
        """Tell a thing as Octavia does: what it belongs to as a list of one."""
        status = "PENDING_UPDATE" if self.pending.get(thing["id"]) else "ERROR" if thing.get("broken") else "ACTIVE"
        told = {k: v for k, v in thing.items() if k not in ("loadbalancer_id", "broken", "pool_id", "l7policy_id")}
        if "loadbalancer_id" in thing:
            told["loadbalancers"] = [{"id": thing["loadbalancer_id"]}]
        if "delay" in thing:
            told["pools"] = [{"id": thing["pool_id"]}]
        return told | {"provisioning_status": status, "operating_status": "ONLINE"}

    def balancer_of(self, collection, thing):
        if collection == "loadbalancers":
            return thing["id"]
        if "loadbalancer_id" in thing:
            return thing["loadbalancer_id"]
        if "listener_id" in thing:
            return self.things["listeners"][thing["listener_id"]]["loadbalancer_id"]
        if "pool_id" in thing:
            return self.things["pools"][thing["pool_id"]]["loadbalancer_id"]
        return self.balancer_of("l7policies", self.things["l7policies"][thing["l7policy_id"]])
