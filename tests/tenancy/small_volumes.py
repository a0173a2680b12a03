"""The block storage service of a small cloud: volume types, kept in memory."""

import uuid

PUBLIC = "os-volume-type-access:is_public"


class SmallVolumes:
    def __init__(self):
        self.types = {}  # by id
        self.encryption = {}  # by type's id

    def handle(self, cloud, method, path, body):
        if not path:
            links = [{"rel": "self", "href": f"{cloud.url}/volume/v3/"}]
            return 200, {"versions": [{"id": "v3.0", "status": "CURRENT", "version": "3.70", "links": links}]}
        _, *rest = path.split("/")
        if method == "POST" and not rest:
            made = {"id": str(uuid.uuid4()), "extra_specs": {}, PUBLIC: True, "qos_specs_id": None}
            made |= body["volume_type"]
            self.types[made["id"]] = made
            return 200, {"volume_type": made}
        if not rest:
            return 200, {"volume_types": list(self.types.values())}
        there = self.types[rest[0]]
        if rest[1:] == ["encryption"]:
            self.encryption |= {rest[0]: body["encryption"]} if body else {}
            found = self.encryption.get(rest[0], {})
            return 200, {"encryption": found} if body else found
        if rest[1:] == ["extra_specs"]:
            there["extra_specs"] |= body["extra_specs"]
            return 200, body
        if method == "PUT":
            given = dict(body["volume_type"])
            there[PUBLIC] = given.pop("is_public", there[PUBLIC])
            there |= given
        return 200, {"volume_type": there}
