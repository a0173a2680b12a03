"""Whatever happens to the source, the worker and the database, at whatever moments: never two machines, never a write
that is missing, never something left over, and always an end. See rounds.py.

LONGSHORE_ROUNDS says how many rounds there are (`make soak`: 500), LONGSHORE_SEED which is the first. A round that
fails says its seed and all that happened in it: LONGSHORE_SEED=… LONGSHORE_ROUNDS=1 does the same again.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from rounds import Round, in_this_process

from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("LONGSHORE_ROUNDS", "60"))
FIRST = int(os.environ.get("LONGSHORE_SEED", "1000"))


@pytest.mark.timeout(120 + ROUNDS * 10)
def test_it_ends_well_or_is_as_it_was(monkeypatch, capsys):
    in_this_process(monkeypatch)
    ends, happened = Counter(), Counter()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        store = Store(StateDirectory(Path(directory) / "state"))
        try:
            for seed in range(FIRST, FIRST + ROUNDS):
                one = Round(seed, Path(directory), store)
                try:
                    one.run()
                except BaseException as error:
                    raise AssertionError(f"{error!r} in {one.told()}") from error
                ends[f"{one.request.get('type', 'cold')} {one.record.status} {one.record.error_code or ''}"] += 1
                happened.update(line.strip(" *") for line in one.history if "***" in line)
                one.forget()
        finally:
            store.close()
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds from seed {FIRST}: {dict(ends)}; happened: {dict(happened)}")
