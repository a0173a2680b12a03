"""longshore relay-image …: the image that a relay boots, where volumes are reached through one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from longshore.cli.command import ShowOne
from longshore.cli.counting import following


class BuildRelayImage(ShowOne):
    """Build the image of the servers through which volumes are reached. Nothing is done when it is there already."""

    examples = ("longshore relay-image build --output relay.qcow2",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", metavar="FILE", help="where to (default: relay.qcow2 in the user's cache)")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.providers.openstack.relay_image.build import build, image_file

        with following() as show:
            image = build(image_file(args.output), show)
        return {
            "file": str(image.file),
            "size": f"{image.file.stat().st_size / (1 << 20):.0f} MiB",
            "recipe": image.recipe,
            "packages": len(image.packages),
            "nbdkit": image.packages.get("nbdkit", ""),
            "built": "now" if image.fresh else "before: its recipe is the same",
        }


class UploadRelayImage(ShowOne):
    """Put the image into a cloud's project. One of the same recipe that is there stays; older ones are replaced."""

    examples = ("longshore relay-image upload --os-cloud admin --image relay.qcow2",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--os-cloud", metavar="CLOUD", help="entry of clouds.yaml (default: $OS_CLOUD or OS_* variables)"
        )
        parser.add_argument("--image", metavar="FILE", help="what was built (default: relay.qcow2 in the user's cache)")
        parser.add_argument("--name", default="longshore-relay", help="what to call it there (default: %(default)s)")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.providers.openstack.connection import connect, settings_from_cloud
        from longshore.providers.openstack.relay_image.build import built_image, image_file
        from longshore.providers.openstack.relay_image.glance import upload

        image = built_image(image_file(args.image))
        connection = connect(*settings_from_cloud(args.os_cloud))
        try:
            done = upload(connection, image, args.name)
        finally:
            connection.close()
        return {
            "image": done.name,
            "id": done.id,
            "recipe": done.recipe,
            "uploaded": "now" if done.uploaded else "before: its recipe is the same",
            "replaced": "\n".join([*done.replaced, *done.left]),
        }


class PackRelayImage(ShowOne):
    """Pack the image as a machine of vSphere (OVA), with all that a proxy there needs. One file makes one proxy.

    Deploy it, power it on, and name it to the provider: longshore provider set vc --transport proxy --proxy NAME.
    """

    examples = ("longshore relay-image pack --address 192.0.2.10/24 --output longshore-proxy.ova",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--image", metavar="FILE", help="what was built (default: relay.qcow2 in the user's cache)")
        parser.add_argument("--output", metavar="FILE", required=True, help="where to: longshore-proxy.ova")
        parser.add_argument(
            "--address", metavar="ADDRESS/PREFIX", required=True, help="the address that the proxy is to have"
        )
        parser.add_argument(
            "--gateway", metavar="ADDRESS", help="its router; not needed where Longshore is in the same network"
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.providers.openstack.relay_image.build import built_image, image_file
        from longshore.providers.vsphere.proxy_ova import pack

        image, output = built_image(image_file(args.image)), Path(args.output).absolute()
        pack(image.file, output, args.address, args.gateway)
        return {
            "file": str(output),
            "size": f"{output.stat().st_size / (1 << 20):.0f} MiB",
            "recipe": image.recipe,
            "address": args.address,
        }
