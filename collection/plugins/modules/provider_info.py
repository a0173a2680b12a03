#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: provider_info
short_description: Which providers there are
version_added: "0.1.0"
description:
  - Lists the clouds that machines come from or go to, or one of them; never their secrets.
author:
  - Longshore (@longshore)
options:
  name:
    description:
      - Only the one of this name or id.
    type: str
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.info
"""

EXAMPLES = r"""
- name: What there is
  longshore.longshore.provider_info:
    cloud: mine
    url: catalog
  register: found
"""

RETURN = r"""
providers:
  description: The providers, as the API has them.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.module import run_info


def main():
    run_info("/v1/providers", "providers", "id")


if __name__ == "__main__":
    main()
