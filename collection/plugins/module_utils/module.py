# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

"""All modules read their options, ask Longshore, and end with what came of it in the same way."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.longshore.longshore.plugins.module_utils.client import Refused, api, part

SECRET = ("password", "secret", "token", "passcode")
REACHED = dict(
    url=dict(type="str"),
    cloud=dict(type="raw"),
    auth=dict(type="dict", no_log=True),
    auth_type=dict(type="str"),
    region_name=dict(type="str"),
    interface=dict(type="str", default="public", choices=["public", "internal", "admin"], aliases=["endpoint_type"]),
    validate_certs=dict(type="bool", aliases=["verify"]),
    ca_cert=dict(type="path", aliases=["cacert"]),
    api_timeout=dict(type="int", default=600),
    state_dir=dict(type="path"),
    command=dict(type="str", default="longshore"),
)


class Failed(Exception):
    """An end that isn't what was asked for: a sentence, its code, and what else is answered."""

    def __init__(self, message, code=None, **answered):
        super().__init__(message)
        self.code, self.answered = code, answered


def run(do, options, **more):
    """Run a module: `do` takes the module and what asks Longshore, and returns what is answered. It raises Failed or
    Refused."""
    module = AnsibleModule(dict(REACHED, **options), supports_check_mode=True, **more)
    keep_names_readable(module)
    try:
        answered = do(module, api(module.params, module.fail_json))
    except Refused as refused:
        if module.check_mode and refused.status == 404:  # an earlier task would have made it
            module.exit_json(changed=True)
        module.fail_json(msg=str(refused), code=refused.code)
    except Failed as failed:
        module.fail_json(msg=str(failed), code=failed.code, **failed.answered)
    module.exit_json(**answered)


def run_info(path, plural, marker=None):
    """Run a module that lists what there is at a path, or the one thing of the name that it is given. `marker`: what
    tells where a page ends, of a list that comes in pages."""

    def do(module, ask):
        name = module.params["name"]
        if name is not None:
            found = ask.found("%s/%s" % (path, part(name)))
            listed = [] if found is None else [found]
        else:
            listed = ask.all(path, marker) if marker else ask("GET", path)
        return dict(changed=False, **{plural: listed})

    run(do, dict(name=dict(type="str")))


def keep_names_readable(module):
    """Leave only secrets hidden. `no_log` of a whole dictionary hides each value in it wherever it stands in an answer:
    names of users, projects and domains, too, and words that merely contain one."""
    for name, value in (module.params.get("auth") or {}).items():
        if not any(word in name for word in SECRET):
            module.no_log_values.discard(str(value))


def dry(module):
    """Return what a request that may be tried ends with."""
    return "?dry_run=true" if module.check_mode else ""


def refuse_blocked(concerns):
    """Raise Failed where something stands against what is asked for."""
    blockers = [one for one in concerns if one["severity"] == "blocker"]
    if blockers:
        raise Failed(" ".join(one["text"] for one in blockers), blockers[0]["code"], concerns=concerns)
