"""`longshore copy` takes a short cut past the frame of the other commands. Nobody should be able to tell."""

import os
import subprocess
import sys
from pathlib import Path

from in_process import longshore as here


def longshore(*words):
    environment = {**os.environ, "COLUMNS": "80"}
    command = [Path(sys.executable).with_name("longshore"), *words]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)


def test_its_help_is_the_same_on_every_way_to_it():
    short = longshore("copy", "--help")
    assert short.returncode == 0
    assert short.stdout.startswith("usage: longshore copy [-h] [--changes FILE]")
    assert short.stdout == longshore("help", "copy").stdout
    assert short.stdout == longshore("--quiet", "copy", "--help").stdout


def test_its_mistakes_are_told_the_same_on_every_way_to_it():
    ways = [([], longshore)]
    more = (["nbd://a"], ["nbd://a", "nbd://b", "--verify=perhaps"], ["/dev/a", "/dev/b"], ["nbd://a"] * 2)
    ways += [(words, lambda *said: here(None, *said)) for words in more]
    for words, run in ways:
        short, long = run("copy", *words), run("--quiet", "copy", *words)
        assert (short.returncode, short.stdout, short.stderr) == (2, "", long.stderr)
        assert long.returncode == 2
        assert "Traceback" not in short.stderr
