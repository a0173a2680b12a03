#!/usr/bin/python3
"""The services' accounts and the catalogue: one process instead of thirty starts of the `openstack` command."""

import json
import os
from pathlib import Path

import openstack

INTERFACES = ("public", "internal", "admin")
SERVICES = {
    "glance": ("image", "http://127.0.0.1:9292"),
    "placement": ("placement", "http://127.0.0.1:8778"),
    "nova": ("compute", "http://127.0.0.1:8774/v2.1"),
    "neutron": ("network", "http://127.0.0.1:9696"),
    "cinder": ("volumev3", "http://127.0.0.1:8776/v3/%(project_id)s"),
}


def main() -> None:
    passwords = json.loads((Path(os.environ["LONGSHORE_LAB"]) / "etc" / "passwords.json").read_text())
    identity = openstack.connect(cloud="lab-admin").identity
    project = identity.create_project(name="service", domain_id="default")
    # `service` marks a service's token as one; `admin` is what the services' work needs in this release.
    roles = [identity.find_role("service") or identity.create_role(name="service"), identity.find_role("admin")]
    for name, (kind, url) in SERVICES.items():
        user = identity.create_user(name=name, domain_id="default", password=passwords[name])
        for role in roles:
            identity.assign_project_role_to_user(project, user, role)
        service = identity.create_service(name=name, type=kind)
        for interface in INTERFACES:
            identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id="RegionOne")


main()
