#!/usr/bin/python3
"""catalogue.py ADDRESS: put ADDRESS into the public endpoints of the cloud that this runs in."""

import sys

import openstack


def main(address: str) -> None:
    identity = openstack.connect(cloud="lab-admin", interface="internal").identity
    for endpoint in identity.endpoints(interface="public"):
        identity.update_endpoint(endpoint, url=endpoint.url.replace("127.0.0.1", address))


main(sys.argv[1])
