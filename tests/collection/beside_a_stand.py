"""usage: beside_a_stand.py COMMAND [WORD…]    runs ansible-test in the collection of the working directory, whose
integration_config.yml names a real server over the tests' small clouds as long as it runs
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), *(str(TESTS / room) for room in ("web", "flows"))]

from stand import stand  # noqa: E402 beside this file

from ports import port_to_serve  # noqa: E402 its neighbours

with (
    tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place,
    stand(Path(place), port_to_serve()) as (at, keystone),
):
    auth = {"auth_url": keystone, "username": "ann", "password": "ann's secret", "project_name": "red"}
    config = Path("tests/integration/integration_config.yml")
    config.write_text(yaml.safe_dump({"longshore_url": at, "longshore_auth": auth}))
    ended = subprocess.run(sys.argv[1:]).returncode
sys.exit(ended)
