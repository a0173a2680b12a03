"""The image that worker servers boot: built here from Debian's packages, and put into a cloud."""

from longshore.providers.openstack.worker_image.build import BuiltImage, build, built_image, recipe_digest
from longshore.providers.openstack.worker_image.glance import UploadedImage, upload

__all__ = ["BuiltImage", "UploadedImage", "build", "built_image", "recipe_digest", "upload"]
