"""Changes of a volume between two of its snapshots, or the honest answer that this worker can't tell."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping

from longshore.errors import FAULT, NotFound, ProviderError
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import Extent
from longshore.model.machine import Snapshot
from longshore.processes.parent import die_with_parent
from longshore.providers.openstack.machines import ROOT
from longshore.providers.openstack.relay_attach import Transport

PAUSES = (1.0, 3.0)  # seconds before each further try
TIMEOUT = 600.0  # seconds; the exact areas of 100 GiB take two


def between(attachments: Transport, since: str, snapshot: Snapshot, disk_key: str) -> Changes:
    """`since` is the id of an earlier snapshot of the same volume, which must still be there."""
    now = snapshot.disk(disk_key).change_id
    if disk_key == ROOT or now is None:
        return Unknown("It isn't a volume, so nothing keeps what changes on it.")
    if since == now:
        return Changed(())
    try:
        place = attachments.place(disk_key)
    except (NotFound, ProviderError) as error:
        if error.code == FAULT:  # which passes, usually: whoever asks tries again
            raise
        return Unknown(error.message)
    wanted = {
        "conf": place["file.conf"],
        "user": place["file.user"],
        "pool": place["file.pool"],
        "image": place["file.image"],
        "snapshot": f"snapshot-{now}",
        "since": f"snapshot-{since}",
    }
    answer = _ask(wanted)
    for pause in PAUSES:
        if not isinstance(answer, _Failed):
            break
        time.sleep(pause)
        answer = _ask(wanted)
    if isinstance(answer, str):
        return Unknown(answer)
    return Changed(tuple(answer))


class _Failed(str):
    """The reason why there was no answer, where there may be one a moment later."""


def _ask(wanted: Mapping[str, str]) -> list[Extent] | str:
    """Return the extents, or why there is no answer."""
    command = die_with_parent(sys.executable, "-m", "longshore.providers.openstack.rbd_diff")
    try:
        done = subprocess.run(
            command, input=json.dumps(wanted) + "\n", capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"Ceph didn't say within {TIMEOUT:.0f} s what changed."
    if done.returncode:
        last = " ".join(done.stderr.split()[-12:])
        return _Failed(f"Ceph couldn't be asked what changed (status {done.returncode}): {last}.")
    answer = json.loads(done.stdout)
    if "unknown" in answer:
        return str(answer["unknown"])
    return [Extent(offset, length) for offset, length in answer["extents"]]
