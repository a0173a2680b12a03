"""The lab's S3 server, for tests of vaults in buckets."""

import secrets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

GATEWAY = Path(__file__).parents[2] / "lab" / "openstack" / "gateway"
BUCKET = "vaults"


@dataclass(frozen=True)
class Gateway:
    endpoint: str
    access_key: str
    secret_file: Path
    client: Any
    prefix: str
    name: str = BUCKET

    @property
    def words(self):
        """Return the options of a command that is about a vault there."""
        return "--endpoint", self.endpoint, "--access-key", self.access_key, "--secret-key-file", str(self.secret_file)

    @property
    def url(self):
        return f"s3://{BUCKET}/{self.prefix}"

    @property
    def keys(self):
        """Return the keys of all objects below the prefix."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return [one["Key"] for one in listed.get("Contents", ())]


@contextmanager
def gateway(root):
    """It runs, and has a bucket and a prefix that nobody else has. `root`: the lab's directory."""
    subprocess.run([GATEWAY, "start"], check=True, capture_output=True, timeout=120)
    place = root / "gateway"
    endpoint, access, secret = ((place / name).read_text().strip() for name in ("endpoint", "access-key", "secret-key"))
    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=BUCKET)
    try:
        yield Gateway(endpoint, access, place / "secret-key", client, secrets.token_hex(4))
    finally:
        client.close()
