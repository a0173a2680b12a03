"""The files in which people describe their clouds, and the OS_* variables, as openstacksdk reads them."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from openstack.config import OpenStackConfig
from openstack.config.loader import CONFIG_FILES, SECURE_FILES, VENDOR_FILES

from longshore.errors import InvalidInput


def read_clouds(name: str | None) -> OpenStackConfig:
    """Read the files as openstacksdk does. `name`: the entry that is going to be used; None: the OS_* variables.

    Raises InvalidInput for a file that isn't YAML or JSON, and for an entry that holds something else than names with
    values; besides what openstacksdk raises.
    """
    _refuse_broken([os.environ.get("OS_CLIENT_CONFIG_FILE"), *CONFIG_FILES])
    _refuse_broken([os.environ.get("OS_CLIENT_SECURE_FILE"), *SECURE_FILES])
    files = OpenStackConfig()
    entry = files.cloud_config["clouds"].get(name, {})
    if not (isinstance(entry, Mapping) and isinstance(entry.get("auth", {}), Mapping)):
        where = f"Entry {name} of clouds.yaml doesn't" if name else "The OS_* variables don't"
        raise InvalidInput(f"{where} describe a cloud: it, and auth in it, are names with values.")
    if entry.get("profile") or entry.get("cloud"):
        _refuse_broken(VENDOR_FILES)
    return files


def _refuse_broken(files: Iterable[str | None]) -> None:
    """Raise InvalidInput where the first of these files that can be read isn't YAML or JSON: the SDK would pass over
    it, and take the cloud of the next."""
    for path in filter(None, files):
        try:
            with Path(path).open() as file:
                if path.endswith("json"):
                    json.load(file)  # noqa: TID251 as the SDK does
                else:
                    yaml.safe_load(file)  # noqa: TID251 people's own, who may use all of YAML there
                return
        except OSError:  # it isn't there, we may not, or it is a directory
            continue
        except json.JSONDecodeError as error:  # whose text may be a password, as that of the next
            raise InvalidInput(f"{path}, line {error.lineno}: this isn't JSON.") from None
        except (ValueError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}, line {mark.line + 1}" if mark else path
            raise InvalidInput(
                f"{where}: this isn't YAML.",
                advice="A text with special characters, as of a password, needs quotes.",
            ) from None
