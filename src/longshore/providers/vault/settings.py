"""The settings of a vault; no secrets in here."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from longshore.errors import InvalidInput
from longshore.model.reach import Reach
from longshore.vault.store import parts_of


@dataclass(frozen=True, slots=True)
class VaultSettings:
    directory: str | None = None  # absolute: local, or one of a file server that each worker has mounted there
    url: str | None = None  # or s3://bucket/prefix
    endpoint: str | None = None  # of the S3 server: http or https; None: Amazon's
    region: str | None = None
    access_key: str | None = None  # its id
    ca_file: str | None = None  # PEM, absolute: with the authority of the S3 server's certificate
    barbican: str | None = None  # id of the OpenStack provider whose key manager has what opens it
    labels: tuple[str, ...] | None = None  # only workers that carry all of them use it
    reach: Reach | None = None  # never kept, and nothing is connected to

    def __post_init__(self) -> None:
        if bool(self.directory) is bool(self.url):
            raise InvalidInput("A vault is in a directory or in a bucket.", advice="Name one of them.")
        if self.directory:
            path = Path(self.directory)
            if not path.is_absolute() or ".." in path.parts or not self.directory.isprintable():
                raise InvalidInput(
                    f"{self.directory!a} is no absolute path.", advice="Name the vault's directory in full."
                )
            if self.endpoint or self.region or self.access_key or self.ca_file:
                raise InvalidInput("A directory has no endpoint, region, access key or CA file.")
            return
        parts_of(self.url or "")
        if not self.access_key or not self.access_key.isprintable():
            raise InvalidInput("The bucket's access key is missing.", advice="Name it, and the secret key's file.")
        if self.endpoint and not _is_endpoint(self.endpoint):
            raise InvalidInput(f"{self.endpoint!a} is no endpoint.", advice="Write https://HOST or https://HOST:PORT.")
        if self.ca_file and not Path(self.ca_file).is_absolute():
            raise InvalidInput(f"{self.ca_file!a} is no absolute path.", advice="Name the authority's file in full.")
        if self.region and not self.region.replace("-", "").isalnum():
            raise InvalidInput(f"{self.region!a} is no region.")


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 raises ValueError
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username or parts.password) and parts.path in ("", "/")
    return (
        text.isascii() and text.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname) and plain
    )
