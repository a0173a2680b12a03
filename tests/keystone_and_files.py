"""usage: keystone_and_files.py DIRECTORY [HOST]    A small Keystone, and a directory behind HTTPS, until it is killed.

Their addresses, and the file of the authority to trust, are printed as JSON once they answer. HOST: how whoever asks
Keystone reaches this machine's loopback.
"""

import json
import signal
import sys
import tempfile
from pathlib import Path

sys.path.extend(str(Path(__file__).parent / name) for name in ("web", "providers"))

import longshore  # noqa: F401, by which nbd is found

# isort: split
from files_made import https
from small_keystone import small_keystone

with tempfile.TemporaryDirectory() as place, small_keystone() as keystone, https(sys.argv[1], Path(place)) as (url, ca):
    keystone.url = keystone.url.replace("127.0.0.1", *sys.argv[2:3] or ["127.0.0.1"])
    print(json.dumps({"keystone": keystone.url, "files": url, "authority": str(ca)}), flush=True)
    signal.pause()
