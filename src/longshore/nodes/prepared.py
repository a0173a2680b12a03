"""Writing the files of three nodes into a directory, from which they are taken to the machines."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from longshore.errors import InvalidInput
from longshore.model.strict_reading import Misread, read_json
from longshore.nodes.certificates import Authority

NAMES = ("node1", "node2", "node3")
_TEMPLATES = Path(__file__).parent / "files"
_HIGHEST = 103  # priority of the first node, where none has the virtual address yet
_PASSWORDS = ("database", "superuser", "replication", "rewind", "patroni")
_VRRP = 8  # characters: keepalived looks at no more
_KEPT = "secrets.json"
_AUTHORITY = "authority.pem"


@dataclass(frozen=True)
class Answers:
    """The answers of whoever has the three machines: all else is made up or the same for everybody."""

    addresses: tuple[IPv4Address, IPv4Address, IPv4Address]
    virtual: IPv4Interface  # the address that callers use, with the length of its network's prefix
    interface: str  # that has it
    router: int  # VRRP's number, which nobody else has in the network
    url: str  # of the server, as callers have it
    keystone: str  # its address
    postgresql: int  # which version is there

    def refuse_what_cannot_be(self) -> None:
        """Raise InvalidInput for addresses that don't go together."""
        if len({*self.addresses, self.virtual.ip}) < len(NAMES) + 1:
            raise InvalidInput("Three nodes and the virtual address have four different addresses.")
        if urlsplit(self.url).scheme != "https" or not urlsplit(self.url).hostname:
            raise InvalidInput("The address that callers use is https://NAME.")
        if urlsplit(self.keystone).scheme not in ("http", "https"):
            raise InvalidInput("Keystone's address is a URL, as https://cloud:5000/v3.")
        for each in (self.url, self.keystone, self.interface):
            if not each.isprintable() or set(each) & set(" \"'\\#{}"):
                raise InvalidInput(f"{each!r} can't stand in a configuration file.")


@dataclass(frozen=True)
class _File:
    path: str  # on the node
    content: bytes
    mode: int
    owner: str  # user and group


def prepare(directory: Path, asked: Answers) -> None:
    """Write into a directory what each node needs: a directory for each, with the files and a script that places them.

    What was made up (passwords, an authority) is kept there too, and taken again when it is called once more: with the
    same addresses or others, and with new certificates. Raises InvalidInput.
    """
    asked.refuse_what_cannot_be()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        passwords, authority = _passwords(directory / _KEPT), _authority(directory / _AUTHORITY)
        for name in NAMES:
            _write_node(directory / name, name, asked, passwords, authority)
    except OSError as error:
        raise InvalidInput(f"The files can't be written into {directory}: {error.strerror}.") from None


def _write_node(directory: Path, name: str, asked: Answers, passwords: Mapping[str, str], authority: Authority) -> None:
    number = NAMES.index(name)
    address = asked.addresses[number]
    others = [str(each) for each in asked.addresses if each != address]
    host = str(urlsplit(asked.url).hostname)
    key, certificate = authority.sign(
        ("longshore", name, host, "localhost", str(address), "127.0.0.1", str(asked.virtual.ip))
    )
    values = {
        **{f"{whose}_password": password for whose, password in passwords.items()},
        **{each: str(given) for each, given in zip(NAMES, asked.addresses, strict=True)},
        **{"name": name, "address": str(address), "other1": others[0], "other2": others[1]},
        **{
            "virtual": str(asked.virtual),
            "virtual_address": str(asked.virtual.ip),
            "interface": asked.interface,
            "router": str(asked.router),
        },
        **{"priority": str(_HIGHEST - number), "url": asked.url, "keystone": asked.keystone},
        **{"postgresql": str(asked.postgresql)},
    }
    files = [*_written(values), *_signed(key, certificate, authority.certificate)]
    for file in files:
        _write(directory / "files" / file.path, file.content, file.mode)
    password = directory / "files/etc/longshore/keystone.password"
    if not password.exists():  # it is the operator's, who writes it there
        _write(password, b"", 0o600)
    placed = [*files, _File("etc/longshore/keystone.password", b"", 0o400, "longshore")]
    values["place"] = "\n".join(_placing(placed))
    _write(directory / "place", _filled("place", values), 0o700)
    _write(directory / "patroni.txt", _filled("patroni.txt", values), 0o600)


def _written(values: Mapping[str, str]) -> Iterator[_File]:
    """Yield what is made of templates."""
    for template, path, mode, owner in (
        ("etcd", "etc/default/etcd", 0o644, "root"),
        ("patroni.yml", "etc/patroni/longshore.yml", 0o400, "postgres"),
        ("make-database", "etc/patroni/make-database", 0o755, "root"),
        ("database.sql", "etc/patroni/database.sql", 0o400, "postgres"),
        ("patroni.service", "etc/systemd/system/patroni.service", 0o644, "root"),
        ("restart.conf", "etc/systemd/system/etcd.service.d/longshore.conf", 0o644, "root"),
        ("restart.conf", "etc/systemd/system/haproxy.service.d/longshore.conf", 0o644, "root"),
        ("restart.conf", "etc/systemd/system/keepalived.service.d/longshore.conf", 0o644, "root"),
        ("haproxy.cfg", "etc/haproxy/haproxy.cfg", 0o644, "root"),
        ("keepalived.conf", "etc/keepalived/keepalived.conf", 0o600, "root"),
        ("longshore.toml", "etc/longshore/longshore.toml", 0o400, "longshore"),
    ):
        yield _File(path, _filled(template, values), mode, owner)


def _signed(key: bytes, certificate: bytes, authority: bytes) -> Iterator[_File]:
    """Yield key and certificate for each service, which reads them as a user of its own."""
    for directory, owner in (("etcd", "etcd"), ("patroni", "postgres"), ("longshore/tls", "longshore")):
        yield _File(f"etc/{directory}/key.pem", key, 0o400, owner)
        yield _File(f"etc/{directory}/certificate.pem", certificate, 0o444, owner)
        yield _File(f"etc/{directory}/ca.pem", authority, 0o444, owner)
    yield _File("etc/haproxy/longshore.pem", key + certificate, 0o400, "root")
    yield _File("etc/haproxy/ca.pem", authority, 0o444, "root")


def _placing(files: list[_File]) -> Iterator[str]:
    """Yield the commands that put files where they belong, each in a directory that its owner reaches."""
    for file in files:
        how = f"-D -o {file.owner} -g {file.owner} -m {file.mode:03o}"
        yield f"install {how} files/{file.path} /{file.path}"


def _filled(template: str, values: Mapping[str, str]) -> bytes:
    return Template((_TEMPLATES / template).read_text()).substitute(values).encode()


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file anew: as long as it is here nobody but its owner reads it, where others may not on the node."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode if mode & 0o044 else mode | 0o600)


def _passwords(path: Path) -> dict[str, str]:
    """Return the passwords that are kept in a file, and those that it lacks as new ones."""
    found: object = {}
    if path.exists():
        try:
            found = read_json(path.read_bytes())
        except Misread:
            found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise InvalidInput(f"{path} isn't what was written there.")
    lengths = {**dict.fromkeys(_PASSWORDS, 48), "vrrp": _VRRP}
    made = {whose: found.get(whose) or secrets.token_hex(length // 2) for whose, length in lengths.items()}
    _write(path, json.dumps(made, indent=1).encode(), 0o600)
    return made


def _authority(path: Path) -> Authority:
    """Return the authority that is kept in a file, or a new one, which is kept there."""
    if path.exists():
        try:
            return Authority.read(path.read_bytes())
        except (ValueError, TypeError):
            raise InvalidInput(f"{path} isn't what was written there.") from None
    made = Authority.new()
    _write(path, made.secret, 0o600)
    return made
