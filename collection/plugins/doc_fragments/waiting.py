# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait for its end.
    type: bool
    default: true
  timeout:
    description:
      - Hours to wait. What goes on does so after that, and the next run waits for it again.
    type: float
    default: 24
"""
