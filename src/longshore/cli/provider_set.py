"""longshore provider set: what has changed of a cloud since it was added."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longshore.cli.command import ShowOne
from longshore.cli.provider_add_files import with_hardware
from longshore.cli.providers import PASSWORD_VARIABLE, password, shown, ssh_settings, with_ssh
from longshore.errors import InvalidInput

_PLAIN = {
    "vsphere": ("host", "port", "username", "fingerprint", "transports", "transport"),
    "files": ("url", "cpus", "memory_mib", "network", "firmware"),
    "openstack": (
        *("ceph_user", "transport", "worker_network", "worker_floating_network", "worker_flavor", "worker_image"),
        *("worker_allow", "worker_quiet"),
    ),
}
_PATHS = {"vsphere": ("vddk_libdir",), "openstack": ("ceph_conf",), "files": ("ca_file",)}
_OTHER = {
    "vsphere": ("password_file", "password_prompt", "ssh_host_key", "ssh_key_file", "ssh_user", "ssh_port"),
    "openstack": ("os_cloud",),
    "files": (),
}


class SetProvider(ShowOne):
    """Change what a provider is reached by: it logs in first, and what doesn't work isn't kept.

    What isn't named stays. Migrations that are under way go on with it at their next connection.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", help="the provider's name")
        parser.add_argument(
            "--label", action="append", metavar="LABEL", help="in the place of all that it has (may be repeated)"
        )
        parser.add_argument("--no-label", action="store_true", help="every worker can reach it")
        parser.add_argument(
            "--transport",
            choices=("vddk", "ssh", "brick", "worker"),
            help="how disks are read (of a vCenter: vddk or ssh) or volumes reached (of a cloud: brick or worker)",
        )
        vsphere = parser.add_argument_group("of a vCenter or ESXi host")
        vsphere.add_argument("--host", help="its name or address; needs its password, and no migration under way")
        vsphere.add_argument("--port", type=int)
        vsphere.add_argument("--username")
        vsphere.add_argument("--password-file", metavar="FILE", help="file that holds the new password")
        vsphere.add_argument(
            "--password-prompt", action="store_true", help=f"ask for the new password (or take ${PASSWORD_VARIABLE})"
        )
        vsphere.add_argument("--fingerprint", metavar="SHA256", help="of its new certificate")
        vsphere.add_argument("--vddk-libdir", metavar="DIR", help="where VMware's disk library (VDDK) is unpacked")
        vsphere.add_argument("--transports", help="VDDK transport modes")
        with_ssh(vsphere)
        with_hardware(parser.add_argument_group("of files"), url="their new URL; needs no migration under way")
        openstack = parser.add_argument_group("of an OpenStack cloud")
        openstack.add_argument(
            "--os-cloud", metavar="CLOUD", help="entry of clouds.yaml: log in as it says, with its password"
        )
        openstack.add_argument("--ceph-conf", metavar="FILE", help="how this machine reaches the cloud's Ceph")
        openstack.add_argument("--ceph-user", metavar="NAME")
        openstack.add_argument("--worker-network", metavar="NETWORK")
        openstack.add_argument("--worker-floating-network", metavar="NETWORK")
        openstack.add_argument("--worker-flavor", metavar="FLAVOR")
        openstack.add_argument("--worker-image", metavar="IMAGE")
        openstack.add_argument("--worker-allow", metavar="CIDR")
        openstack.add_argument("--worker-quiet", metavar="SECONDS", type=float)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        kind = self.client.provider(args.name).kind
        others = [(*_PLAIN[other], *_PATHS[other], *_OTHER[other]) for other in _PLAIN if other != kind]
        for name in (name for names in others for name in names):
            if getattr(args, name) and name not in _PLAIN[kind]:
                raise InvalidInput(f"Provider {args.name} is {kind}: it has no --{name.replace('_', '-')}.")
        settings: dict[str, Any] = {}
        secrets: dict[str, str] = {}
        if args.os_cloud:
            settings, secrets = self._from_cloud(args.os_cloud)
        ssh, ssh_secrets = ssh_settings(args)
        settings |= ssh
        secrets |= ssh_secrets
        settings |= {name: value for name in _PLAIN[kind] if (value := getattr(args, name)) is not None}
        settings |= {name: str(Path(value).absolute()) for name in _PATHS[kind] if (value := getattr(args, name))}
        if args.label or args.no_label:
            settings["labels"] = args.label
        if args.password_file or args.password_prompt:
            secrets["password"] = password(args.password_file, f"New password of {args.name}")
        return shown(self.client.change_provider(args.name, settings, secrets))

    def _from_cloud(self, cloud: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Where and as whom to log in."""
        from longshore.providers.openstack import settings_from_cloud

        settings, secrets = settings_from_cloud(cloud)
        plain = asdict(settings)
        return {name: plain[name] for name in ("auth", "auth_type", "region", "interface", "verify", "cacert")}, secrets
