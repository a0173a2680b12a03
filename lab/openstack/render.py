#!/usr/bin/python3
"""Write the daemons' configuration: every file below etc/ here goes to $LONGSHORE_LAB/etc, with its @names@ filled in.
Where the cloud is of another Debian, those below etc-ovn/ take the place of those of the same name.

The first directory names the service whose account a file speaks for: in nova/nova.conf, @auth@ is the settings with
which Nova's own user signs in at Keystone, @database(nova_api)@ the connection to that database as Nova's user.
"""

import json
import os
import re
from pathlib import Path

LAB = Path(os.environ["LONGSHORE_LAB"])
HERE = Path(__file__).parent
TEMPLATES = (HERE / "etc", HERE / "etc-ovn") if os.environ.get("SUITE") else (HERE / "etc",)

AUTH = """\
auth_type = password
auth_url = http://127.0.0.1:5000/v3
user_domain_name = Default
project_domain_name = Default
project_name = service
username = {service}
password = {password}"""

TOKENS = """\
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:5000/v3
memcached_servers = 127.0.0.1:11211
service_token_roles = service
service_token_roles_required = true
"""


def values(service: str, passwords: dict[str, str]) -> dict[str, str]:
    password = passwords.get(service, "")
    auth = AUTH.format(service=service, password=password)
    return {
        "log": str(LAB / "log"),
        "run": str(LAB / "run"),
        "etc": str(LAB / "etc"),
        "data": str(LAB / "data"),
        "auth": auth + "\nregion_name = RegionOne",
        "keystone_authtoken": TOKENS + auth,
        "messages": f"transport_url = rabbit://openstack:{passwords['rabbit']}@127.0.0.1:5672/",
        "rabbit_password": passwords["rabbit"],
        "admin_password": passwords["admin"],
        "demo_password": passwords["demo"],
        "password": password,
    }


def fill(text: str, service: str, passwords: dict[str, str]) -> str:
    known = values(service, passwords)

    def one(match: re.Match[str]) -> str:
        name, database = match.groups()
        if database:
            url = f"mysql+pymysql://{service}:{passwords[service]}@127.0.0.1:3306/{database}?charset=utf8"
            return f"connection = {url}\nmax_pool_size = 5"
        return known[name]

    return re.sub(r"@(\w+)(?:\((\w+)\))?@", one, text)


def main() -> None:
    passwords = json.loads((LAB / "etc" / "passwords.json").read_text())
    templates = {path.relative_to(root): path for root in TEMPLATES for path in root.rglob("*") if path.is_file()}
    for relative, template in sorted(templates.items()):
        target = LAB / "etc" / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(fill(template.read_text(), relative.parts[0], passwords))
        target.chmod(0o600)


main()
