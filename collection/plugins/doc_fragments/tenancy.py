# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  provider:
    description:
      - The provider, an OpenStack, whose project it is.
    type: str
    required: true
  directory:
    description:
      - Directory of the files, on the host that the task runs on.
    type: path
    required: true
  only:
    description:
      - Only these kinds, as their files are called, such as V(networks). None are all.
    type: list
    elements: str
    default: []
  filters:
    description:
      - Only what these fit, as V(name=web), V(name~^web), V(tag!=old).
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Hours to wait. What goes on does so after that, and the next run waits for it again.
    type: float
    default: 24
"""
