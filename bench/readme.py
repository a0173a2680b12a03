"""Makes README.md from results/: the newest figures of each case. Every bench that keeps figures calls it.

.venv/bin/python bench/readme.py
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
README = HERE / "README.md"
HEAD = """# Benchmarks

Made by `bench/readme.py` from the newest figures of each case, which are in `results/`; git's history has the earlier
ones. Each bench says in its first lines what it compares and how it is called. `--small` only shows that it runs: that
takes seconds and keeps nothing, and `tests/test_benches.py` does it with each. What else a machine does counts more
than most differences: compare only what was measured in one go, in turn, on one machine at rest.
"""


def table(heads: str, rows: list[list[object]]) -> Iterator[str]:
    names = heads.split(" | ")
    yield f"| {heads} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


def spread(seconds: list[float]) -> str:
    if len(seconds) == 1:
        return f"{seconds[0]:.2f}"
    return f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


def measured(found: dict[str, Any]) -> str:
    """When and where, as a sentence."""
    machine = found["machine"]
    where = [machine[name] for name in ("processor",) if name in machine]
    where += [f"{machine['processors']} processors"]
    where += [f"Linux {machine['kernel'].partition('-')[0]}"] if "kernel" in machine else []
    where += [f"a load of {machine['load']}"] if "load" in machine else []
    return f"Measured on {found['at'][:10]}: {', '.join(where)}.\n"


def copying(found: dict[str, Any]) -> Iterator[str]:
    yield "Seconds, median (fastest–slowest). A ratio above 1: Longshore's median was better than the best other's.\n"
    rows: list[list[object]] = []
    for case in sorted(found["cases"], key=lambda each: (each["case"], each["condition"])):
        name, seconds = min(case["others"].items(), key=lambda each: median(each[1]))
        machine = case["machine"]["processor"].removesuffix(" Processor")
        best = f"{spread(seconds)}, {name}"
        rows.append(
            [case["case"], case["condition"], spread(case["ours_s"]), best, case["ratio"], case["at"][:10], machine]
        )
    yield from table("case | condition | Longshore | best other | ratio | on | processor", rows)


def backing_up(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    rows: list[list[object]] = [
        [each["step"], each["contender"], spread(each["seconds"]), each["times"], each["memory_mib"]]
        for each in found["figures"]
    ]
    yield from table("step | contender | seconds | times Longshore's | MiB of memory", rows)


def vault(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    rows: list[list[object]] = []
    for each in found["figures"]:
        more = [f"{name} {value}" for name, value in each.items() if name not in ("what", "seconds")]
        rows.append([each["what"], spread(each["seconds"]), ", ".join(more).replace("_", " ")])
    yield from table("what | seconds | ", rows)


def control_plane(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    yield f"Each copy takes {found['copy_seconds']:.0f} s; what is told is what its migration took beyond that.\n"
    rows: list[list[object]] = [
        [
            each["case"],
            each["migrations"],
            each["workers"],
            each["begun_after_seconds"]["median"],
            each["longer_than_its_copy_seconds"]["median"],
            each["worker_processor_ms_per_migration"],
            each["database_processor_ms_per_migration"],
            each["peak_mib"],
        ]
        for each in found["cases"]
    ]
    heads = (
        "database | migrations | workers | begun after, s | longer than its copy, s | worker, ms | database, ms | MiB"
    )
    yield from table(heads, rows)


def polling(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    yield f"{found['clients']} clients, a plan of {found['machines']} machines.\n"
    rows: list[list[object]] = [
        [each["database"], name, look["server_processor_ms_alone"], look["p50_ms"], look["p99_ms"], look["bytes"]]
        for each in found["cases"]
        for name, look in each["looks"].items()
    ]
    yield from table("database | look | server's processor alone, ms | median, ms | 99 %, ms | bytes", rows)


def noisy_neighbour(found: dict[str, Any]) -> Iterator[str]:
    yield "The quiet project's answers (95 %) and turns (95 %), alone and beside the noisy project.\n"
    rows: list[list[object]] = []
    for case in found["cases"].values():
        alone, beside = case["alone"], case["beside"]
        answers = [f"{side['answer_ms'].get('p95', '–')} ms" for side in (alone, beside)]
        turns = [f"{side['turn_seconds'].get('p95', '–')} s" for side in (alone, beside)]
        missed = beside["without_answer"] + beside["not_begun"]
        rows.append([case["behaviour"], " → ".join(answers), " → ".join(turns), missed, case["at"][:10]])
    yield from table("behaviour | answers | turns | not answered or begun | on", rows)


def inventory(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    provider = found["provider"]
    rows: list[list[object]] = [
        [f"`longshore machine list` of {provider['machines']:,}", found["machine_list"]["seconds"]],
        ["the same, of nine by name", found["machine_list_of_nine"]["seconds"]],
        ["listed by the provider alone", provider["list"]["seconds"]],
        [f"preflight of {provider['planned']:,}", provider["preflight"]["seconds"]],
    ]
    yield from table("what | seconds", rows)
    peaks = provider["peak_mib"], found["machine_list"]["peak_mib"]
    yield f"At most {peaks[0]} MiB for the provider alone, {peaks[1]} for a command.\n"


def tenancy(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    yield (
        f"{found['resources']} resources, each answer after {found['latency_s'] * 1000:.0f} ms."
        f" {found['validate']['resources']:,} are validated in {found['validate']['seconds']} s.\n"
    )
    rows: list[list[object]] = [
        [cloud, way, each["first_s"], each["first_requests"], each["second_s"], each["second_requests"]]
        for cloud, key in (("small cloud", "small_cloud"), ("lab", "lab"))
        for way, each in found.get(key, {}).items()
    ]
    yield from table("cloud | way | first, s | requests | again, s | requests", rows)


def confinement(found: dict[str, Any]) -> Iterator[str]:
    rows: list[list[object]] = [
        [
            operation,
            *(spread([run["seconds"] for run in each[way]]) for way in ("confined", "unconfined")),
            each["at"][:10],
        ]
        for operation, each in found.items()
    ]
    yield from table("operation | confined, s | unconfined, s | on", rows)


def converting(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    this, other = (found["versions"][side] for side in ("this", "other"))
    rows: list[list[object]] = []
    for work in ("start", "conversion"):
        seconds = {side: [run["seconds"] for run in found[work][side]] for side in ("this", "other")}
        ratio = round(median(seconds["this"]) / median(seconds["other"]), 2)
        rows.append([_WORK[work], spread(seconds["this"]), spread(seconds["other"]), ratio])
    yield from table(f"work | virt-v2v {this}, s | virt-v2v {other}, s | ratio", rows)


def proxy_reads(found: dict[str, Any]) -> Iterator[str]:
    yield measured(found)
    yield (
        f"Disks of {found['mib']} MiB. The library is the lab's stand-in, which has no network, no TLS and none of"
        " NFC's limits: its ratio to a proxy isn't that of VMware's.\n"
    )
    rows: list[list[object]] = []
    for case in found["cases"]:
        rates = list(case["mib_per_s"].values())
        ratio = round(median(rates[0]) / median(rates[1]), 2)
        rows.append([case["disks"], *(spread(each) for each in rates), ratio])
    ways = " | ".join(f"{way}, MiB/s" for way in found["cases"][0]["mib_per_s"])
    yield from table(f"disks at once | {ways} | ratio", rows)
    yield "Of each sync, beside what a vCenter itself takes for it:\n"
    yield from table("what | seconds", [[what, spread(seconds)] for what, seconds in found["syncs"].items()])


_WORK = {"start": "start of the appliance, under emulation", "conversion": "the lab's Debian 12, two disks"}


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], Iterator[str]]]] = {
    "copying": ("Copies, beside nbdcopy and qemu-img", copying),
    "backing_up": ("Backups, beside restic and borg", backing_up),
    "backing_up_large": ("Backups of a disk of 1 TiB with 2 GiB of data", backing_up),
    "vault": ("A vault of a system's disk", vault),
    "proxy_reads": ("Disks of vSphere through a proxy, beside VDDK's plugin", proxy_reads),
    "control_plane": ("Many migrations at once", control_plane),
    "polling": ("Many clients that look again and again", polling),
    "noisy_neighbour": ("A quiet project beside a noisy one", noisy_neighbour),
    "inventory": ("A vCenter of 10,000 machines", inventory),
    "tenancy": ("A tenant's resources", tenancy),
    "confinement": ("Confined work on a guest", confinement),
    "converting": ("A guest's conversion, with another converter beside it", converting),
}


def text() -> str:
    parts = [HEAD]
    for name, (title, section) in SECTIONS.items():
        file = HERE / "results" / f"{name}.json"
        if file.exists():
            bench = "backing_up.py --large" if name == "backing_up_large" else f"{name}.py"
            parts += [f"## {title}\n", f"`bench/{bench}`\n", *section(json.loads(file.read_text()))]
    return "\n".join(part.removesuffix("\n") + ("\n" if part.endswith("\n") else "") for part in parts).rstrip() + "\n"


if __name__ == "__main__":
    README.write_text(text())
