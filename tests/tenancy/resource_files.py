"""Directories of resource files, as people see and edit them, and what the commands do with them."""

from threading import Event

import yaml

from longshore.border.documents import as_yaml
from longshore.tenancy import Cloud, diff, export, import_, parse

# What the small cloud has; identity and images are shown in the lab
KINDS = (
    "keypairs,server_groups,qos_policies,address_scopes,subnet_pools,networks,subnets,address_groups,security_groups,"
    "security_group_rules,routers,router_interfaces,ports,trunks,floating_ips,rbac_policies"
)


def quiet(*_):
    """Tell nobody."""


def _resources(path):
    return yaml.load(path.read_text(), yaml.CSafeLoader)["resources"]


class Files:
    """A directory of resource files, as a person sees and edits it."""

    def __init__(self, path):
        self.path = path

    def write(self, name, *resources, version="1.0.5"):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_yaml({"os_migrate_version": version, "resources": list(resources)}))
        return path

    def read(self, name):
        return _resources(self.path / name)

    def params(self):
        """Return all that people edit, by file."""
        return {
            str(path.relative_to(self.path)): [resource["params"] for resource in _resources(path)]
            for path in sorted(self.path.rglob("*.yml"))
        }

    def replace(self, old, new):
        for path in self.path.rglob("*.yml"):
            path.write_text(path.read_text().replace(old, new))


def exported(connection, path, only=KINDS, filters=(), overwrite=False):
    return export(Cloud(connection), path, parse([only], filters), overwrite=overwrite, progress=quiet)


def compared(connection, path, only=KINDS, filters=()):
    return diff(Cloud(connection), path, parse([only], filters), quiet)


def imported(connection, path, only=KINDS, filters=(), stop=None):
    return import_(Cloud(connection), path, parse([only], filters), quiet, stop or Event())


def of(report, action):
    return {(row.kind, row.name) for row in report.rows if row.action == action}


def network(name, **params):
    return {"type": "openstack.network.Network", "params": {"name": name, **params}}


def subnet(name, cidr, network, **params):
    given = {"name": name, "cidr": cidr, "ip_version": 6 if ":" in cidr else 4, "network_ref": ref(network), **params}
    return {"type": "openstack.subnet.Subnet", "params": given}


def group(name, **params):
    return {"type": "openstack.network.SecurityGroup", "params": {"name": name, **params}}


def rule(of, **params):
    given = {"security_group_ref": ref(of), "direction": "ingress", "ether_type": "IPv4", **params}
    return {"type": "openstack.network.SecurityGroupRule", "params": given}


def router(name, **params):
    return {"type": "openstack.network.Router", "params": {"name": name, **params}}


def interface(router, network, *addresses):
    ips = [{"ip_address": address, "subnet_ref": ref(subnet)} for subnet, address in addresses]
    given = {"device_ref": ref(router), "network_ref": ref(network), "fixed_ips_refs": ips}
    return {"type": "openstack.network.RouterInterface", "params": given}


def port(name, network, **params):
    return {"type": "openstack.network.Port", "params": {"name": name, "network_ref": ref(network), **params}}


def image(name, identity="an-id", **params):
    given = {"name": name, "disk_format": "raw", "container_format": "bare", **params}
    return {"type": "openstack.image.Image", "params": given, "_info": {"id": identity}}


def ref(name):
    return {"name": name, "project_name": "%auth%", "domain_name": "%auth%"}
