#!/usr/bin/python3
"""catalogue.py up|down: Barbican's account, whose password is on standard input, and its place in the catalogue."""

import sys

import openstack

URL = "http://127.0.0.1:9311"


def main(wanted: str) -> None:
    identity = openstack.connect(cloud="lab-admin").identity
    for service in list(identity.services(type="key-manager")):
        identity.delete_service(service)
    if user := identity.find_user("barbican"):
        identity.delete_user(user)
    if wanted == "down":
        return
    user = identity.create_user(name="barbican", domain_id="default", password=sys.stdin.readline().strip())
    project = identity.find_project("service")
    for role in ("service", "admin"):
        identity.assign_project_role_to_user(project, user, identity.find_role(role))
    service = identity.create_service(name="barbican", type="key-manager")
    for interface in ("public", "internal", "admin"):
        identity.create_endpoint(service_id=service.id, interface=interface, url=URL, region_id="RegionOne")


main(sys.argv[1])
