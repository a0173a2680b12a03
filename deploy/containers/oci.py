#!/usr/bin/python3
"""usage: oci.py DIRECTORY VERSION MADE LAYER…    Write an OCI image layout of tar files, the lowest layer first.

MADE: when what is in it was, in seconds since 1970. What runs in the image, and as whom, stands here.
"""

import gzip
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NAME = "localhost/longshore:latest"
USER = "970:970"  # deploy/containers/image makes it
_PART = 1 << 20


class Blobs:
    """The files of a layout, each called by the digest of what is in it."""

    def __init__(self, directory: Path) -> None:
        self._at = directory / "blobs" / "sha256"
        self._at.mkdir(parents=True)

    def add(self, media_type: str, content: Any) -> dict[str, Any]:
        """Keep a JSON document, and return its descriptor."""
        text = json.dumps(content, sort_keys=True).encode()
        digest = hashlib.sha256(text).hexdigest()
        (self._at / digest).write_bytes(text)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(text)}

    def add_layer(self, tar: Path) -> tuple[dict[str, Any], str]:
        """Compress a layer, and return its descriptor and the digest of what was compressed."""
        plain, new = hashlib.sha256(), self._at / "new"
        with tar.open("rb") as layer, new.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            while part := layer.read(_PART):
                plain.update(part)
                packed.write(part)
        with new.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        new.rename(self._at / digest)
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        return (
            {"mediaType": kind, "digest": f"sha256:{digest}", "size": (self._at / digest).stat().st_size},
            f"sha256:{plain.hexdigest()}",
        )


def main(directory: Path, version: str, made: str, layers: list[Path]) -> None:
    blobs = Blobs(directory)
    created = datetime.fromtimestamp(int(made), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    packed = [blobs.add_layer(layer) for layer in layers]
    image = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {
            "User": USER,
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
            "Entrypoint": ["/usr/bin/tini", "--", "/usr/bin/longshore"],
            "Cmd": ["server"],
            "Labels": {"org.opencontainers.image.title": "Longshore", "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest for _, digest in packed]},
        "history": [{"created": created, "created_by": layer.stem} for layer in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blobs.add("application/vnd.oci.image.config.v1+json", image),
        "layers": [descriptor for descriptor, _ in packed],
    }
    listed = blobs.add(manifest["mediaType"], manifest)
    # As what podman and docker load it
    listed["annotations"] = {"org.opencontainers.image.ref.name": NAME, "io.containerd.image.name": NAME}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


main(Path(sys.argv[1]), *sys.argv[2:4], [Path(name) for name in sys.argv[4:]])
