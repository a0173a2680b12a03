"""longshore provider …: the clouds that machines come from and go to."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.words import moment
from longshore.errors import InvalidInput

if TYPE_CHECKING:
    from longshore.api.schemas import ProviderCheck

PASSWORD_VARIABLE = "LONGSHORE_PASSWORD"  # noqa: S105 the name of a variable, not a password


class AddVsphere(ShowOne):
    """Add a vCenter or an ESXi host. Its certificate is shown once and pinned, the password is kept encrypted."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", help="what to call it")
        parser.add_argument("--host", required=True, help="name or address of the vCenter")
        parser.add_argument("--port", type=int, default=443, help="default: %(default)s")
        parser.add_argument("--username", required=True)
        parser.add_argument(
            "--password-file",
            metavar="FILE",
            help=f"file that holds the password (else ${PASSWORD_VARIABLE}, else a prompt)",
        )
        parser.add_argument(
            "--fingerprint", metavar="SHA256", help="the certificate's SHA-256 fingerprint; shown and asked for without"
        )
        parser.add_argument("--vddk-libdir", metavar="DIR", help="where VMware's disk library (VDDK) is unpacked")
        parser.add_argument("--transports", default="nbdssl:nbd", help="VDDK transport modes (default: %(default)s)")
        parser.add_argument(
            "--transport",
            choices=("vddk", "ssh"),
            default="vddk",
            help="how disks are read: through VDDK, or as files of the ESXi hosts, over SSH (default: %(default)s)",
        )
        with_ssh(parser.add_argument_group("with --transport ssh"))
        return with_labels(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        ssh, ssh_secrets = ssh_settings(args)
        if args.transport == "ssh":
            _refuse_missing_ssh(ssh, ssh_secrets)
        fingerprint = args.fingerprint or self._ask_fingerprint(args.host, args.port)
        settings = {
            "host": args.host,
            "port": args.port,
            "username": args.username,
            "fingerprint": fingerprint,
            "vddk_libdir": str(Path(args.vddk_libdir).absolute()) if args.vddk_libdir else None,
            "transports": args.transports,
            "labels": args.label,
        }
        settings |= ({"transport": args.transport} if args.transport != "vddk" else {}) | ssh
        secrets = ssh_secrets | {"password": password(args.password_file, f"Password of {args.username}")}
        return shown(self.client.add_provider(args.name, "vsphere", settings, secrets))

    def _ask_fingerprint(self, host: str, port: int) -> str:
        shown = self.client.fingerprint(host, port)
        print(f"The certificate of {host}:{port} has the SHA-256 fingerprint\n  {shown}", file=sys.stderr)
        if not sys.stdin.isatty():
            raise InvalidInput(
                "Its certificate has to be confirmed.",
                advice=f"Compare the fingerprint with the server's and run this again with --fingerprint {shown}.",
                code="fingerprint-unconfirmed",
            )
        if input("Is that the server's? [y/N] ").strip().lower() not in ("y", "yes"):
            raise InvalidInput("Not confirmed; nothing was added.")
        return shown


class AddOpenstack(ShowOne):
    """Add an OpenStack cloud from clouds.yaml or the OS_* variables. Its secrets are kept encrypted.

    A server that is asked with a password isn't given it: it makes an application credential from your token, for your
    project and with your roles, and deletes it when the provider is removed.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", help="what to call it")
        parser.add_argument(
            "--os-cloud",
            metavar="CLOUD",
            help="entry of clouds.yaml (default: $OS_CLOUD or OS_* variables); a server is given its password",
        )
        parser.add_argument(
            "--ceph-conf",
            metavar="FILE",
            default="/etc/ceph/ceph.conf",
            help="how this machine reaches the cloud's Ceph",
        )
        parser.add_argument("--ceph-user", metavar="NAME", help="Ceph user (default: the one that Cinder names)")
        parser.add_argument(
            "--transport",
            choices=("brick", "worker"),
            default="brick",
            help="how volumes are reached: by this machine itself, or through a small server in the project "
            "(default: %(default)s)",
        )
        worker = parser.add_argument_group("with --transport worker")
        worker.add_argument(
            "--worker-network", metavar="NETWORK", help="which it is on (default: the project's only one)"
        )
        worker.add_argument(
            "--worker-floating-network",
            metavar="NETWORK",
            help="where its floating address is from (default: it has none, and is reached at its own address)",
        )
        worker.add_argument("--worker-flavor", metavar="FLAVOR", help="default: the smallest with 512 MiB of memory")
        worker.add_argument(
            "--worker-image", metavar="IMAGE", default="longshore-worker", help="name or id (default: %(default)s)"
        )
        worker.add_argument(
            "--worker-allow",
            metavar="CIDR",
            help="whose connections it takes (default: this machine's own address; name it if a router changes that)",
        )
        worker.add_argument(
            "--worker-quiet",
            metavar="SECONDS",
            type=float,
            default=600.0,
            help="how long it stays when no volume needs it (default: %(default)s)",
        )
        return with_labels(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.providers.openstack import OpenstackSettings, settings_from_cloud

        # The `openstack` command takes --os-cloud for itself, wherever it stands
        settings, secrets = settings_from_cloud(args.os_cloud or (self.app.options.cloud if self.is_plugin else None))
        if self.client.remote and not args.os_cloud and "applicationcredential" not in settings.auth_type:
            # As whom the server is asked: it can act in that name by itself, and needs no password for it
            settings, secrets = OpenstackSettings(region=settings.region, interface=settings.interface), {}
        here = {"ceph_conf": str(Path(args.ceph_conf).absolute()), "ceph_user": args.ceph_user, "labels": args.label}
        plain = asdict(settings) | here
        plain |= {"transport": args.transport, "worker_image": args.worker_image, "worker_network": args.worker_network}
        plain |= {"worker_floating_network": args.worker_floating_network, "worker_flavor": args.worker_flavor}
        plain |= {"worker_allow": args.worker_allow, "worker_quiet": args.worker_quiet}
        return shown(self.client.add_provider(args.name, "openstack", plain, secrets))


class ListProviders(Lister):
    """List the providers."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return with_all_projects(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [
            (p.name, p.kind, "shared" if p.shared else _where(p.settings), moment(p.created_at))
            for p in self.client.providers(all_projects=args.all_projects)
        ]
        return ("Name", "Kind", "Where", "Added"), rows


class ShowProvider(ShowOne):
    """Show a provider. Secrets are never shown."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_name(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        provider = self.client.provider(args.name)
        fields = {"name": provider.name, "kind": provider.kind, "id": provider.id} | provider.settings
        return tuple(fields), tuple(fields.values())


class CheckProvider(ShowOne):
    """Log in to a provider and say what is found there."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_name(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return shown(self.client.check_provider(args.name))


class RemoveProvider(Command):
    """Forget a provider and its secrets. Nothing in the cloud is changed."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_name(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> None:
        self.client.remove_provider(args.name)


class ShareProvider(Command):
    """Let another project of a server use a provider, without seeing where it is and by which account. For admins."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_project(_with_name(super().get_parser(prog_name)))

    def take_action(self, args: Namespace) -> None:
        self.client.share_provider(args.name, args.project)


class UnshareProvider(Command):
    """Take a share back. Migrations that have begun go on to their end."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_project(_with_name(super().get_parser(prog_name)))

    def take_action(self, args: Namespace) -> None:
        self.client.unshare_provider(args.name, args.project)


def with_ssh(group: Any) -> None:
    """The arguments by which ESXi hosts are logged in to."""
    group.add_argument(
        "--ssh-host-key",
        action="append",
        metavar="FILE",
        help="file with the SSH keys of the ESXi hosts, as ssh-keyscan prints them, and you have compared them: no "
        "other host is connected to (may be repeated)",
    )
    group.add_argument(
        "--ssh-key-file", metavar="FILE", help="file with the private key to log in with, without a passphrase"
    )
    group.add_argument("--ssh-user", metavar="NAME", help="whom to log in as (default: root)")
    group.add_argument("--ssh-port", metavar="PORT", type=int, help="default: 22")


def ssh_settings(args: Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """What was said of it, as settings and secrets. Raises InvalidInput."""
    lines = [line.strip() for file in args.ssh_host_key or () for line in _text_of(file, "host keys").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if args.ssh_host_key and not keys:
        raise InvalidInput(f"There is no SSH host key in {' or '.join(args.ssh_host_key)}.")
    said = {"ssh_host_keys": keys or None, "ssh_user": args.ssh_user, "ssh_port": args.ssh_port}
    secrets = {"ssh_key": _text_of(args.ssh_key_file, "SSH key")} if args.ssh_key_file else {}
    return {name: value for name, value in said.items() if value is not None}, secrets


def _refuse_missing_ssh(settings: dict[str, Any], secrets: dict[str, str]) -> None:
    """Raises InvalidInput, before anybody is asked for anything else."""
    from longshore.providers.vsphere import no_host_keys, usable_ssh_key

    if "ssh_host_keys" not in settings:
        raise no_host_keys()
    usable_ssh_key(secrets.get("ssh_key", ""))


def with_all_projects(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "--all-projects", action="store_true", help="those of all projects of a server, for administrators"
    )
    return parser


def with_labels(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "--label",
        action="append",
        metavar="LABEL",
        help="only workers that carry this label can reach it (may be given more than once)",
    )
    return parser


def _with_project(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("project", help="id of the project, or * for every project")
    return parser


def _with_name(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("name", metavar="PROVIDER", help="the provider's name")
    return parser


def shown(check: ProviderCheck) -> tuple[Any, Any]:
    fields = {"provider": check.provider.name, "type": check.provider.kind} | check.found
    return tuple(fields), tuple(fields.values())


def _where(settings: dict[str, Any]) -> str:
    auth = settings.get("auth", {})
    return str(settings.get("host") or settings.get("url") or auth.get("auth_url", ""))


def password(file: str | None, prompt: str) -> str:
    """From a file, the environment or a prompt: never from the command line, which every user can read."""
    if file is not None:
        said = _text_of(file, "password").rstrip("\n")
    elif PASSWORD_VARIABLE in os.environ:
        said = os.environ[PASSWORD_VARIABLE]
    elif sys.stdin.isatty():
        said = getpass(f"{prompt}: ")
    else:
        raise InvalidInput("No password was given.", advice=f"Use --password-file or ${PASSWORD_VARIABLE}.")
    if not said:
        raise InvalidInput("The password is empty.")
    return said


def _text_of(file: str, what: str) -> str:
    """Raises InvalidInput."""
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise InvalidInput(f"The {what} file {file} can't be read: {reason}.") from None
