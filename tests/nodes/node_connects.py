"""Whoever connects to the virtual address each 10 ms: node_connects.py HOST. Until something comes by standard input.

Writes a line of JSON: how many did, and each time longer than a tenth of a second in which nobody could, as when it
began (seconds since the epoch) and for how long.
"""

import json
import socket
import sys
import threading
import time
from itertools import pairwise

over, good = threading.Event(), [time.time()]
threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
while not over.wait(0.01):
    try:
        socket.create_connection((sys.argv[1], 443), timeout=0.1).close()
    except OSError:
        continue
    good.append(time.time())
good.append(time.time())  # it may not answer yet
print(json.dumps({"good": len(good), "gaps": [(a, b - a) for a, b in pairwise(good) if b - a > 0.1]}))
