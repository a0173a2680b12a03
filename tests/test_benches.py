"""Each bench runs once, small, so that no change leaves it behind; and bench/README.md tells the newest figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

BENCH = Path(__file__).parents[1] / "bench"
PARTS = {"outcome", "readme"}  # modules that benches use, and that measure nothing
RUN = {  # how each is called, and a word of what it then prints
    "backing_up": (("--large", "--small"), "| prune | longshore |"),  # without the others' programs
    "control_plane": (("--small",), "longer_than_its_copy_seconds"),
    "copying": (("--small",), "| reading the target back from a disk"),
    "file_writes": (("--small",), "| 2048 KiB |"),
    "inventory": (("--small",), '"machines": 20'),
    "memory": (("8",), "kept"),
    "noisy_neighbour": (("--small",), "told_after_seconds"),
    "polling": (("--small",), "plan watch, all its migrations"),
    "proxy_reads": (("--small",), "4 at once: through a proxy"),
    "tenancy": (("--small",), "one after the other: "),
    "vault": (("--small",), "| one of 5 MiB fetched from a service |"),
}
REFUSED = {  # what each says that is called without what it needs
    ("backing_up",): "This bench needs nbdkit and restic and borg: apt-get install borgbackup nbdkit restic",
    ("backing_up_steps",): "This is a step of backing_up.py: back-up DIRECTORY IMAGE [CHANGES], restore, or prune.",
    ("confinement",): "This bench needs the lab: lab/lab run .venv/bin/python bench/confinement.py",
    ("converting",): "This bench needs the lab: lab/lab run .venv/bin/python bench/converting.py",
    (
        "copying",
    ): "This bench needs nbdkit and nbdcopy and qemu-img and qemu-nbd: apt-get install libnbd-bin nbdkit qemu-utils",
    ("neighbourhood",): "This is a part of noisy_neighbour.py, which is to be called.",
    ("noisy_neighbour", "rude"): "There is no behaviour rude, only queue, silent, ",
    ("proxy_reads",): "This bench needs nbdkit and nbdcopy and qemu-img: apt-get install libnbd-bin nbdkit qemu-utils",
    ("tenancy", "--lab"): "This bench needs the lab: lab/lab run .venv/bin/python bench/tenancy.py --lab",
    ("vault",): "This bench needs mke2fs and nbdkit: apt-get install e2fsprogs nbdkit",
}


def call(name, *words, **environment):
    given = {key: value for key, value in os.environ.items() if key != "LONGSHORE_LAB"} | environment
    command = ["nice", "-n", "5", sys.executable, BENCH / f"{name}.py", *words]
    return subprocess.run(command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_no_bench_is_forgotten_here():
    assert {path.stem for path in BENCH.glob("*.py")} == RUN.keys() | {each[0] for each in REFUSED} | PARTS


@pytest.mark.parametrize("name", RUN)
def test_a_bench_runs(name):
    words, told = RUN[name]
    done = call(name, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told in done.stdout


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_a_bench_says_what_it_needs(words, tmp_path):
    (tmp_path / "nice").symlink_to("/usr/bin/nice")
    done = call(*words, PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(REFUSED[words])
    assert done.stderr.count("\n") == 1


def test_a_case_on_ceph_says_that_it_needs_an_image():
    done = call("copying", "rbd")
    assert done.returncode == 1
    assert done.stderr == "This case needs --rbd: an RBD image of 4 GiB to write, as pool=…,image=…,conf=…,user=…\n"


def test_the_page_tells_the_newest_figures():
    told = "import readme, sys; sys.stdout.write(readme.text())"
    made = subprocess.run([sys.executable, "-c", told], cwd=BENCH, capture_output=True, text=True, check=True).stdout
    assert (BENCH / "README.md").read_text() == made, "Call bench/readme.py."
    assert {path.stem for path in (BENCH / "results").iterdir()} <= {path.stem for path in BENCH.glob("*.py")} | {
        "backing_up_large"
    }
