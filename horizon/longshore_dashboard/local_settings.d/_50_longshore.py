# Who sees Longshore's panels, by the rules that its server has. Where the server's policy_file changes them, put the
# same file beside Horizon's own (POLICY_FILES_PATH), called longshore_policy.yaml.
import importlib.util as _importlib_util
from pathlib import Path as _Path

_longshore = _Path(_importlib_util.find_spec("longshore_dashboard").origin).parent
POLICY_FILES = {**POLICY_FILES, "migration": "longshore_policy.yaml"}  # noqa: F821 Horizon's
DEFAULT_POLICY_FILES = {**DEFAULT_POLICY_FILES, "migration": str(_longshore / "policy" / "migration.yaml")}  # noqa: F821
