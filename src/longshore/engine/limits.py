"""How many bytes a second the copies of a plan may read together: a file that all of them look at while they run."""

import json
import os

from longshore.model.plan import Limits
from longshore.store import Store


def keep_limits(store: Store, plan_id: str, limits: Limits) -> None:
    """Running copies follow within a fraction of a second."""
    path = store.state.limits(plan_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"bytes_per_second": limits.bytes_per_second}))
    os.replace(new, path)  # noqa: PTH105 named for what it does: in one moment
