"""The compute service of a small cloud: key pairs, server groups and flavors, kept in memory.

As with Nova, a listing never says whose a key pair is, and only an administrator may name another user.
"""

import re
import uuid

FORBIDDEN = {"forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:os-keypairs to be performed."}}


class SmallCompute:
    def __init__(self):
        self.newest = "2.93"  # microversion
        self.asked = "2.1"  # that of the request under way
        self.keypairs = {}  # by user's id, by name
        self.server_groups = {}  # by project
        self.flavors = {}  # by id
        self.access = {}  # projects that may use a flavor, by its id

    def version(self, url):
        links = [{"rel": "self", "href": f"{url}/compute/v2.1/"}]
        return {"id": "v2.1", "status": "CURRENT", "version": self.newest, "min_version": "2.1", "links": links}

    def handle(self, method, path, query, body, project):
        if path == "limits":
            return 200, {"limits": {"absolute": {"maxTotalKeypairs": 100, "maxServerGroups": 10}}}
        if path == "os-keypairs":
            return self.keypairs_of(method, query, body, project)
        if path.startswith("flavors"):
            return self.flavors_of(method, path.split("/")[1:], body)
        groups = self.server_groups.setdefault(project, {})
        if method == "GET":
            return 200, {"server_groups": list(groups.values())}
        group = {"id": str(uuid.uuid4()), "rules": {}, "project_id": project, "members": [], **body["server_group"]}
        groups[group["id"]] = group
        return 200, {"server_group": group}

    def keypairs_of(self, method, query, body, project):
        """The token's project says who it is; before microversion 2.10 nobody else can be meant."""
        given = dict(body["keypair"]) if body else {}
        own = f"user-of-{project}"
        named = given.pop("user_id", None) if body else query.get("user_id")
        if named and project != "admin":
            return 403, FORBIDDEN
        if named and self.newest == "2.9":
            if body:
                return 400, {"badRequest": {"code": 400, "message": "Additional properties are not allowed"}}
            named = None
        mine = self.keypairs.setdefault(named or own, {})
        if not body:
            told = ("name", "public_key", "fingerprint", "type")
            return 200, {"keypairs": [{"keypair": {name: pair[name] for name in told}} for pair in mine.values()]}
        if given["name"] in mine:
            return 409, {"conflictingRequest": {"code": 409, "message": f"Key pair '{given['name']}' already exists."}}
        if not re.fullmatch(r"[\w\- ]+", given["name"]) and tuple(map(int, self.asked.split("."))) < (2, 92):
            return 400, {
                "badRequest": {"code": 400, "message": f"{given['name']!r} does not match '^[_\\- a-zA-Z0-9]+$'"}
            }
        mine[given["name"]] = {"type": "ssh", "fingerprint": "", **given}
        return 201, {"keypair": {**mine[given["name"]], "user_id": named or own}}

    def flavors_of(self, method, rest, body):
        if method == "POST" and not rest:
            made = {"id": str(uuid.uuid4()), "extra_specs": {}, "os-flavor-access:is_public": True, **body["flavor"]}
            self.flavors[made["id"]] = made
            return 200, {"flavor": made}
        if rest == ["detail"]:
            return 200, {"flavors": list(self.flavors.values())}
        if method == "DELETE":
            del self.flavors[rest[0]]
            return 202, None
        flavor = self.flavors[rest[0]]
        if rest[1:] == ["os-extra_specs"]:  # kept as text, as Nova does
            flavor["extra_specs"] |= {name: str(value) for name, value in body["extra_specs"].items()}
            return 200, {"extra_specs": flavor["extra_specs"]}
        if rest[1:] == ["os-flavor-access"]:
            return 200, {"flavor_access": [{"flavor_id": rest[0], "tenant_id": each} for each in self.access[rest[0]]]}
        return 200, {"flavor": flavor}
