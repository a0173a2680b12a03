"""`longshore worker` between the small clouds of tests/flows: node_worker.py CONFIGURATION DIRECTORY"""

import logging
import os
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "flows"), str(TESTS)]
conversions = Path(sys.argv[2]) / "conversions"
conversions.mkdir(parents=True, exist_ok=True)
os.environ["SMALL_WORLD"] = str(conversions)  # what the worlds' stand-in for a conversion finds its place by

import small_fleet  # noqa: E402

from longshore.configuration import read_configuration  # noqa: E402
from longshore.engine import worker_process  # noqa: E402
from longshore.flows.moves import copying  # noqa: E402
from longshore.flows.workflows import FLOWS  # noqa: E402
from longshore.logs import write_json  # noqa: E402

write_json(sys.stderr)
logging.getLogger("longshore").setLevel(logging.INFO)
stalled_after = copying.STALLED_AFTER
small_fleet.install()
copying.STALLED_AFTER = stalled_after  # copies are slow here on purpose, and none hangs
worker_process.serve(read_configuration(Path(sys.argv[1])), FLOWS)
