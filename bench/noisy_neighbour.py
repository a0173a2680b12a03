"""What a project that behaves as badly as it can does to a quiet one: its answers and turns, with and without it.

    .venv/bin/python bench/noisy_neighbour.py [BEHAVIOUR …] [--seconds 20] [--rounds 4] [--next-door] [--small]

Each behaviour meets a server and a worker of its own on PostgreSQL (neighbourhood.py). The quiet project asks one thing
after another, and now and then for a migration; first alone, then beside the noisy one, in one go: what counts is the
ratio. With rounds both are done in turn, so that what else this machine has to do is beside both. What wasn't answered
within ten seconds counts as ten, and a migration that hadn't begun half a minute after the time was up with the time
it had had.
With --next-door the noisy project asks a second server, on the same database: what the quiet one still waits for then
isn't the server's doing, but that of processors, database and workers that both share.
The latest of each behaviour is kept in results/noisy_neighbour.json.
"""

import http.client
import itertools
import json
import multiprocessing
import os
import secrets
import socket
import statistics
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from control_plane import peak_mib
from neighbourhood import import_tests, neighbourhood
from outcome import about_machine, keep, kept, need_postgresql, now, parser

PATIENCE = 10.0  # seconds that the quiet project waits for an answer
TURN_PATIENCE = 30.0  # seconds that it waits for its turns once the time is up
TOLD_PATIENCE = 60.0  # seconds that it waits for a webhook to be told
MIGRATE_EVERY = 1.5  # seconds
REST = 2.0  # seconds after the noise, until what was begun is done
MACHINES = 2000  # of the plan that fills the queue
LASTING = ("queue", "marks", "streams", "webhook")  # what these have done stays when they are gone
HEARD = Counter()  # by the noisy project: its answers by status, 0 for none
MARK = "a?" * 30 + "a" * 30 + "!"  # one that backtracking takes years for


def ask(port, token, method, path, body=None, timeout=PATIENCE, kind="application/json"):
    """Status and body; 0 when there was no answer in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": kind} | ({"X-Auth-Token": token} if token else {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def openstack(name, url, username="u", transport="relay"):
    auth = {"auth_url": url, "username": username, "project_name": "p"}
    settings = {"auth": auth} | ({"transport": transport} if transport else {})
    return {"name": name, "kind": "openstack", "settings": settings, "secrets": {"password": "x"}}


def paper_clouds(here, token, username="paper"):
    vsphere = {"host": "paper", "username": username}
    for body in (
        {"name": "vc", "kind": "vsphere", "settings": vsphere, "secrets": {"password": "x"}},
        openstack("cloud", f"{here.keystone}/v3", username, transport=None),
    ):
        status, said = ask(here.port, token, "POST", "/v1/providers", body, timeout=60)
        assert status == 201, said


def migration(machine, **options):
    request = {"networks": {"VM Network": "private"}, **options}
    return {"machine": machine, "source": "vc", "target": "cloud", "request": request}


def must(there, method, path, body):
    """What the noisy project needs to be noisy at all. If it is refused, nothing is measured: this process ends."""
    status, said = ask(there.port, "noisy", method, path, body, timeout=60)
    if status >= 300:  # no answer in time isn't a refusal: it goes on being done
        print(f"The noisy project's {method} {path} was answered {status}: {said[:500]!r}", file=sys.stderr, flush=True)
        os._exit(1)  # this is a thread
    return said


# Behaviours: each runs until it is killed, in a process of its own


def _everywhere(count, work):
    def again():
        while True:
            answered = work()
            if answered:
                HEARD[answered[0]] += 1
            time.sleep(0.001)

    for _ in range(count):
        threading.Thread(target=again, daemon=True).start()
    threading.Event().wait()


def fill_queue(there):
    machines = [{"machine": f"vm-{n}", "ref": f"vm-{n}"} for n in range(5000, 5000 + MACHINES)]
    mappings = {"networks": {"VM Network": "private"}}
    plan = {"name": "all", "source": "vc", "target": "cloud", "machines": machines, "mappings": mappings}
    must(there, "PUT", "/v1/plans/all", plan | {"limits": {"at_once": 1_000_000}})
    must(there, "POST", "/v1/plans/all/start", {})
    threading.Event().wait()


def silent_clouds(there):
    _everywhere(
        48, lambda: ask(there.port, "noisy", "POST", "/v1/providers", openstack(secrets.token_hex(8), there.silent), 60)
    )


def gzip_bomb(there):
    _everywhere(
        4, lambda: ask(there.port, "noisy", "POST", "/v1/providers", openstack(secrets.token_hex(8), there.bomb), 60)
    )


def hostile_marks(there):
    for n in range(8):
        must(there, "POST", "/v1/migrations", migration(f"vm-{6000 + n}", boot_mark=MARK, boot_timeout=2))
    threading.Event().wait()


def huge_requests(there):
    machines = [{"machine": f"vm-{n}", "options": {"x": "y" * 100}} for n in range(100_000)]
    body = json.dumps({"name": "huge", "source": "vc", "target": "cloud", "machines": machines}).encode()[: 15 << 20]
    _everywhere(4, lambda: ask(there.port, "noisy", "PUT", "/v1/plans/huge", body, 60))


def event_streams(there):
    said = must(there, "POST", "/v1/migrations", migration("vm-7000", boot_mark="never shown", boot_timeout=600))
    path = f"/v1/migrations/{json.loads(said)['id']}/events/stream"
    _everywhere(300, lambda: ask(there.port, "noisy", "GET", path, timeout=300))


def hammering(there):
    def twice():
        ask(there.port, None, "GET", "/healthz")
        ask(there.port, secrets.token_hex(8), "GET", "/v1/migrations")

    _everywhere(32, twice)


def yaml_bombs(there):
    """490 bytes of aliases of aliases, as a plan's page takes them."""
    plan = {"name": "bombed", "source": "vc", "target": "cloud", "machines": [{"machine": "vm-1"}]}
    must(there, "PUT", "/v1/plans/bombed", plan)
    lines = ["name: bombed", "source: vc", "target: cloud", "machines: [{machine: vm-1}]", "a0: &a0 lol"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    form = urlencode({"plan": "\n".join(lines), "version": "1"}).encode()
    kind = "application/x-www-form-urlencoded"
    _everywhere(1, lambda: ask(there.port, "noisy", "POST", "/ui/plans/bombed/yaml", form, 300, kind))


def large_bodies(there):
    """5.9 MB again and again: of lists in lists, and of a plan of as many machines as a project may have."""
    lists = b'{"a":[' + b"[]," * 1_960_000 + b"[]]}"
    long = {"server_name": "x" * 250, "user_data": "y" * 600}
    machines = [{"machine": f"{'m' * 250}-{n}", "ref": f"vm-{n}", **long} for n in range(5000)]
    plan = json.dumps({"name": "large", "source": "vc", "target": "cloud", "machines": machines}).encode()
    ways = itertools.cycle([("POST", "/v1/migrations", lists), ("PUT", "/v1/plans/large", plan)])
    _everywhere(2, lambda: ask(there.port, "noisy", *next(ways), 60))


def idle_connections(there):
    """1,100 with half a head, by whoever has no token; all of them anew each ten seconds, when the first are ended."""
    while True:
        held = []
        for _ in range(1100):
            with suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", there.port), timeout=3))
                held[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        time.sleep(10)
        for wire in held:
            wire.close()


def trickling_webhook(_there):
    """Its replicas' webhook is asked by the worker."""
    threading.Event().wait()


def hostile_vault(there):
    """Which has ever new keys of the dearest kind, and a document of 300 MiB, is looked at again and again."""
    _everywhere(6, lambda: ask(there.port, "noisy", "POST", "/v1/vaults/evil/check", {}, 300))


BEHAVIOURS = {
    "queue": (fill_queue, "2,000 migrations queued, at_once 1,000,000"),
    "silent": (silent_clouds, "48 clouds that never answer"),
    "bomb": (gzip_bomb, "a cloud that answers with a gzip bomb of 100 MiB, 4 at a time"),
    "marks": (hostile_marks, "8 migrations with a hostile boot_mark"),
    "huge": (huge_requests, "requests of 12 MiB, 4 at a time"),
    "streams": (event_streams, "300 event streams"),
    "yaml": (yaml_bombs, "490 bytes of YAML with aliases of aliases, in a form"),
    "bodies": (large_bodies, "bodies of 5.9 MB in a loop, 2 at a time"),
    "idle": (idle_connections, "1,100 connections with half a head, at a soft limit of 1,024 files"),
    "webhook": (trickling_webhook, "12 replicas whose webhook trickles its answer"),
    "vault": (hostile_vault, "checks of a hostile vault, 6 at a time"),
    "hammering": (hammering, "/healthz and tokens that aren't valid, 32 at a time"),
}


def make_ready(here, name):
    """What a neighbour can't do by itself."""
    if name == "webhook":
        add_webhook(here, "noisy", "/evil")
        for number in range(12):
            breached_replica(here, "noisy", number)
    if name == "vault":
        where = {"url": "s3://vaults/noisy", "endpoint": here.where.bucket, "region": "us-east-1"}
        keys = {
            "access_key": "AKIATEST",
            "secret_key": "a secret key that nobody may see",
            "pass_phrase": "noisy noise",
        }
        status, said = ask(here.port, "noisy", "POST", "/v1/vaults", {"name": "evil", **where, **keys}, timeout=120)
        assert status == 201, said
        here.turn_hostile()


def add_webhook(here, project, path):
    """Make a channel to a webhook that is told of missed RPOs."""
    from longshore.model.channel import ChannelKind, Occasion
    from longshore.store import Scope
    from longshore.store.channels import NewChannel

    new = NewChannel(
        name=f"webhook-{uuid.uuid4().hex[:8]}",
        kind=ChannelKind.WEBHOOK,
        occasions=(Occasion.RPO,),
        waits_after=0.0,
        quiet=None,
        digest=0.0,
        mail=None,
        secrets={"address": f"{here.where.webhooks}{path}"},
    )
    here.store.scoped(Scope(project)).channels.add(new)


def breached_replica(here, project, number):
    """One whose RPO is breached, which its project's webhook is to be told."""
    from longshore.model.point import Consistency
    from longshore.model.replica import Protection
    from longshore.store import NewMigration, Scope

    store, moment = here.store, datetime.now(UTC) - timedelta(hours=2)
    cloud = next(one.id for one in store.providers.all() if one.project_id == project)
    new = NewMigration(
        *(f"web-{number}", f"vm-{9000 + number}", cloud, cloud, {"type": "replica"}),
        protection=Protection("daily", "last 9", 3600),
        due_at=datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1),  # no worker syncs what isn't there
    )
    (record,) = store.scoped(Scope(project)).migrations.add_together([new])
    store.points.begin(record.id, 1, moment, goes_on=False)
    sync = {"number": 1, "bytes_changed": 1, "bytes_written": 1}
    what = {"consistency": Consistency.CRASH, "disks": [], "machine": {}, "sync": sync, "state": {}}
    store.points.complete(record.id, 1, usable_at=moment, **what)


def told_after(here, number):
    """Seconds until the quiet project's webhook is told of a breach; those that it had had when it wasn't."""
    here.told.value, began = 0.0, time.time()
    breached_replica(here, "quiet", number)
    while not here.told.value and time.time() < began + TOLD_PATIENCE:
        time.sleep(0.1)
    return round((here.told.value or time.time()) - began, 1)


class Quiet:
    """The quiet project: looks one after another, and a migration now and then."""

    def __init__(self, here, first):
        self._here, self._next = here, first
        self.looks, self.asked, self.failed, self.extra = [], {}, Counter(), {}

    def work(self, seconds):
        began = time.monotonic()
        migrate_at = began
        paths = ["/v1/migrations?limit=20", "/v1/providers", "/v1/providers/vc/machines/vm-1", "/v1/plans", "/healthz"]
        n = 0
        while time.monotonic() < began + seconds:
            if time.monotonic() >= migrate_at:
                migrate_at += MIGRATE_EVERY
                self._next += 1
                said = self._look("POST", "/v1/migrations", migration(f"vm-{self._next}"))
                if said:
                    self.asked[json.loads(said)["id"]] = time.monotonic()
            self._look("GET", paths[n % len(paths)])
            n += 1
            time.sleep(0.05)
        return self

    def _look(self, method, path, body=None):
        began = time.perf_counter()
        status, said = ask(self._here.port, "quiet", method, path, body)
        self.looks.append(time.perf_counter() - began)
        if 200 <= status < 300:
            return said
        self.failed[status] += 1
        return None

    def figures(self):
        end = time.monotonic() + TURN_PATIENCE
        records = []
        while time.monotonic() < end:
            records = self._here.store.migrations.several(list(self.asked))
            if all(record.started_at for record in records):
                break
            time.sleep(0.2)
        now = time.monotonic()
        waited = []
        for record in records:
            begun = record.started_at
            waited.append((begun - record.created_at).total_seconds() if begun else now - self.asked[record.id])
        return {
            "answers": len(self.looks),
            "without_answer": self.failed[0],
            "refused": {str(status): count for status, count in self.failed.items() if status},
            "answer_ms": {name: round(value * 1000, 1) for name, value in _quantiles(self.looks).items()},
            "migrations": len(records),
            "not_begun": len([r for r in records if r.started_at is None]),
            "turn_seconds": {name: round(value, 2) for name, value in _quantiles(waited).items()},
            **self.extra,
        }


def _quantiles(values):
    if not values:  # not even asking was answered
        return {}
    if len(values) == 1:
        values = values * 2
    cut = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cut[49], "p95": cut[94], "p99": cut[98], "max": max(values)}


def _wait_until_noisy(here, name):
    """What goes by requests is at it at once; what goes by migrations when they are queued, or have come to the end."""
    own_clouds = {record.id for record in here.store.providers.all() if record.project_id == "noisy"}
    end = time.monotonic() + 60
    while name in ("queue", "marks") and time.monotonic() < end:
        own = [r for r in here.store.queue.records() if r.source_id in own_clouds]
        if len(own) > MACHINES // 4 or any(r.phase == "booting" for r in own):
            break
        time.sleep(0.2)
    time.sleep(5)


class Noise:
    """The noisy project, in a process of its own until it is told to end. `heard`: what it was answered."""

    def __init__(self, name, there):
        spawn = multiprocessing.get_context("spawn")
        ready, self._end = spawn.Event(), spawn.Event()
        self._ours, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_neighbour, args=(ready, self._end, theirs, name, there), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of that process is the end of what it tells
        ready.wait()

    def end(self):
        self._end.set()
        try:
            heard, seconds = self._ours.recv()
        except EOFError:
            raise SystemExit("The noisy project couldn't be noisy: its last words are above.") from None
        self._process.kill()
        self._process.join()
        return heard, seconds


def _neighbour(ready, end, pipe, name, there):
    threading.Thread(target=BEHAVIOURS[name][0], args=(there,), daemon=True).start()
    began, ignored = time.monotonic(), time.process_time()
    ready.set()
    end.wait()
    pipe.send((dict(HEARD), (time.process_time() - ignored) / (time.monotonic() - began)))


def measure(name, cluster, seconds, rounds, next_door):
    rounds = 1 if name in LASTING else rounds
    with neighbourhood(cluster, next_door=next_door) as here:
        paper_clouds(here, "quiet")
        paper_clouds(here, "noisy", "paper-hostile" if name == "marks" else "paper")
        Quiet(here, 100).work(3)  # until everything has been imported
        alone, beside = Quiet(here, 200), Quiet(here, 1000)
        if name == "webhook":
            add_webhook(here, "quiet", "/good")
        heard, noise_took, more = Counter(), [], 0
        for _ in range(rounds):
            alone.work(seconds / rounds)
            if name == "webhook":
                alone.extra["told_after_seconds"] = told_after(here, 100)
            if name not in here.made_ready:
                here.made_ready.add(name)
                make_ready(here, name)
            peak = peak_mib(here.server)
            noise = Noise(name, here.noisy)
            _wait_until_noisy(here, name)
            beside.work(seconds / rounds)
            if name == "webhook":
                beside.extra["told_after_seconds"] = told_after(here, 101)
            more += peak_mib(here.server) - peak
            answers, took = noise.end()
            heard.update(answers)
            noise_took.append(took)
            time.sleep(REST)
        alone, beside = alone.figures(), beside.figures()
    ratios = defaultdict(dict)
    for what in ("answer_ms", "turn_seconds"):
        for quantile, value in beside[what].items():
            ratios[what][quantile] = round(value / max(alone[what][quantile], 0.001), 1)
    return {
        "behaviour": BEHAVIOURS[name][1],
        "alone": alone,
        "beside": beside,
        "ratios": ratios,
        "server_peak_grew_by_mib": more,
        "noisy_was_answered": {str(status): count for status, count in sorted(heard.items())},
        "noisy_took_of_a_processor": round(statistics.mean(noise_took), 2),
    }


def try_out(cluster):
    """The behaviour that asks most of the product, for a second, beside a quiet project that nobody may refuse."""
    with neighbourhood(cluster) as here:
        paper_clouds(here, "quiet")
        paper_clouds(here, "noisy")
        quiet = Quiet(here, 100)
        add_webhook(here, "quiet", "/good")
        make_ready(here, "webhook")
        noise = Noise("webhook", here.noisy)
        quiet.work(1.0)
        noise.end()
        quiet.extra["told_after_seconds"] = told_after(here, 100)
        found = quiet.figures()
    print(json.dumps(found))
    if found["refused"] or found["not_begun"] or found["told_after_seconds"] >= TOLD_PATIENCE:
        raise SystemExit("The quiet project was refused, or had no turn, or wasn't told of its replica.")


def main():
    asked = parser(__doc__)
    asked.add_argument("behaviours", nargs="*", metavar="BEHAVIOUR", help=f"of {', '.join(BEHAVIOURS)}; default: all")
    asked.add_argument("--seconds", type=float, default=20.0, help="of each of the two measurements")
    asked.add_argument("--rounds", type=int, default=4, help="into which that time is split, alone and beside in turn")
    asked.add_argument("--next-door", action="store_true", help="the noisy project asks a server of its own")
    args = asked.parse_args()
    if unknown := sorted(set(args.behaviours) - set(BEHAVIOURS)):
        raise SystemExit(f"There is no behaviour {unknown[0]}, only {', '.join(BEHAVIOURS)}.")
    need_postgresql()
    import_tests()
    from postgresql import Cluster

    cluster = Cluster()
    how = {"seconds": args.seconds, "rounds": args.rounds, "next_door": args.next_door}
    try:
        if args.small:
            try_out(cluster)
            return
        for name in args.behaviours or BEHAVIOURS:
            when = {"at": now(), "machine": about_machine()}
            case = when | how | measure(name, cluster, args.seconds, args.rounds, args.next_door)
            print(name, json.dumps(case), flush=True)
            keep("noisy_neighbour", {"cases": kept("noisy_neighbour").get("cases", {}) | {name: case}})
    finally:
        cluster.remove()


if __name__ == "__main__":
    main()
