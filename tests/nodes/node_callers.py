"""Callers of the virtual address: node_callers.py HOST CA READERS WRITERS. A request goes once, over a new connection.

They read and write until something comes by standard input. Then this looks whether what was acknowledged is
there, and writes a line of JSON.
"""

import json
import ssl
import sys
import threading
import time
from http.client import HTTPException, HTTPSConnection
from itertools import pairwise

HOST, CA, READERS, WRITERS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
WITHIN = 120.0  # seconds
TLS = ssl.create_default_context(cafile=CA)


def ask(method, path, body=None):
    """Return status and body; 0 and why, when no answer came."""
    connection = HTTPSConnection(HOST, timeout=WITHIN, context=TLS)
    headers = {"X-Auth-Token": "tok-a", "Connection": "close", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}".encode()
    finally:
        connection.close()


def limit(number):
    return {"of": "host", "provider": "vc", "name": f"asked{number}", "at_once": 3}


over, asked, lock = threading.Event(), [], threading.Lock()


def read(_number):
    time.sleep(0.1)
    return ask("GET", "/v1/limits?limit=1")


def write(number):
    time.sleep(0.5)
    return ask("PUT", "/v1/limits", limit(number))


def go_on(what, start, step):
    number = start
    while not over.is_set():
        began = time.time()
        status, body = what(number)
        with lock:
            asked.append((what.__name__, number, status, began, time.time(), body[:200].decode(errors="replace")))
        number += step


threads = [threading.Thread(target=go_on, args=(read, n, READERS)) for n in range(READERS)]
threads += [threading.Thread(target=go_on, args=(write, n, WRITERS)) for n in range(WRITERS)]
for thread in threads:
    thread.start()
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
said = {}
for kind in ("read", "write"):
    own = [one for one in asked if one[0] == kind]
    ends = sorted(one[4] for one in own if one[2] == 200)
    said[kind] = {
        "asked": len(own),
        "failed": [one for one in own if one[2] != 200],
        "slowest": max((one[4] - one[3] for one in own), default=0),
        "longest_without": max((b - a for a, b in pairwise(ends)), default=0),
    }
acknowledged = {f"asked{number}" for kind, number, status, *_ in asked if kind == "write" and status == 200}
there, marker = set(), ""
while True:
    status, body = ask("GET", f"/v1/limits?limit=1000{marker}")
    page = json.loads(body) if status == 200 else []
    there |= {one["name"] for one in page}
    if len(page) < 1000:
        break
    marker = f"&marker={page[-1]['id']}"
said["lost"] = sorted(acknowledged - there)
print(json.dumps(said))
