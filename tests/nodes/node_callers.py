"""Callers of the virtual address: node_callers.py HOST CA READERS WRITERS COMMANDS READS RATE

They read and write, each request once and over a new connection, until something comes by standard input and they have
read READS times; RATE times a second together, or as fast as each may where it is 0. COMMANDS of them read as
Longshore's own commands do, READS times as well: every other one over a new connection each time, as one that asks and
ends, the rest over one that they keep, as one that watches. Then this looks whether what was acknowledged is there, and
writes a line of JSON.
"""

import json
import socket
import ssl
import sys
import threading
import time
from http.client import HTTPException, HTTPSConnection
from itertools import pairwise

from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from longshore.client.wires import Remote
from longshore.errors import LongshoreError

HOST, CA = sys.argv[1:3]
READERS, WRITERS, COMMANDS, READS = map(int, sys.argv[3:7])
RATE = float(sys.argv[7])
WITHIN = 120.0  # seconds
TLS = ssl.create_default_context(cafile=CA)


def ask(method, path, body=None):
    """Return status and body; 0 and why, when no answer came."""
    connection = HTTPSConnection(HOST, timeout=WITHIN, context=TLS)
    headers = {"X-Auth-Token": "tok-a", "Connection": "close", "Content-Type": "application/json"}
    try:
        connection.connect()
        # As Longshore's own commands ask: who has lost the address says nothing to those who wait
        for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 5)):
            connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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
SOME = "/v1/limits?limit=1"


def read(_number):
    return ask("GET", SOME)


def write(number):
    return ask("PUT", "/v1/limits", limit(number))


def wire():
    return Remote(Session(Token(f"https://{HOST}", "tok-a"), verify=CA), f"https://{HOST}")


kept = {number: wire() for number in range(1, COMMANDS, 2)}


def command(number):
    """Ask as a command does, each of which keeps to its number."""
    own = kept.get(number % COMMANDS) or wire()
    try:
        return own.ask("GET", SOME)
    except LongshoreError as error:
        return 0, str(error).encode()
    finally:
        if number % COMMANDS not in kept:
            own.close()


PAUSES = {read: 0.1, write: 0.5, command: 0.1}  # seconds


def go_on(what, start, step):
    number, due = start, time.time()
    while not over.is_set():
        if RATE:  # as many come each second, however long the last one took; each may be one behind
            due = max(due + (READERS + WRITERS + COMMANDS) / RATE, time.time() - 1)
            over.wait(max(0.0, due - time.time()))
        else:
            time.sleep(PAUSES[what])
        began = time.time()
        status, body = what(number)
        with lock:
            asked.append((what.__name__, number, status, began, time.time(), body[:200].decode(errors="replace")))
        number += step


threads = [threading.Thread(target=go_on, args=(read, n, READERS)) for n in range(READERS)]
threads += [threading.Thread(target=go_on, args=(write, n, WRITERS)) for n in range(WRITERS)]
threads += [threading.Thread(target=go_on, args=(command, n, COMMANDS)) for n in range(COMMANDS)]
for thread in threads:
    thread.start()
sys.stdin.readline()
while any(sum(one[0] == kind for one in asked) < READS for kind in ("read", *["command"] * bool(COMMANDS))):
    time.sleep(0.2)
over.set()
for thread in threads:
    thread.join()
said = {}
for kind in ("read", "write", "command"):
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
