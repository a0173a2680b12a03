# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of a Longshore server. V(catalog) takes the one that the cloud's catalogue names.
      - Without it, and without E(LONGSHORE_URL), everything is done on the host itself, in O(state_dir).
    type: str
  cloud:
    description:
      - Name of an entry of C(clouds.yaml), or a dictionary as such an entry is.
    type: raw
  auth:
    description:
      - What the plugin O(auth_type) needs to log in to Keystone.
    type: dict
  auth_type:
    description:
      - Name of a plugin of keystoneauth.
    type: str
  region_name:
    description:
      - Region of the catalogue.
    type: str
  interface:
    description:
      - Which of a service's endpoints is asked.
    type: str
    choices: [public, internal, admin]
    default: public
    aliases: [endpoint_type]
  validate_certs:
    description:
      - Whether certificates are checked.
    type: bool
    aliases: [verify]
  ca_cert:
    description:
      - File with the authorities to trust.
    type: path
    aliases: [cacert]
  api_timeout:
    description:
      - Seconds that one request may take.
    type: int
    default: 600
  state_dir:
    description:
      - State directory of an installation without a server.
      - Without it E(LONGSHORE_STATE), else C(~/.local/state/longshore).
    type: path
  command:
    description:
      - The command C(longshore), for an installation without a server.
    type: str
    default: longshore
"""
