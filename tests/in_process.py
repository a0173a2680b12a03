"""The command in the tests' own process: starting one for each run would take longer than all that they do."""

import logging
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest.mock import patch

from longshore.cli.app import main
from longshore.cli.shell import LongshoreApp


def longshore(state, *words):
    """Run a command as if with this state directory; None: without saying which."""
    before = logging.root.handlers[:]  # the command adds one that writes to this run's stderr, and is to be alone
    logging.root.handlers[:] = []
    named = patch.object(LongshoreApp, "NAME", "longshore")  # else it is that of whatever runs the tests
    alone = patch("longshore.engine.embedded.start_ahead", lambda _state: None)
    with named, alone, redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as said:
        try:
            code = main([*(["--state", str(state)] if state else []), *map(str, words)])
        except SystemExit as ended:  # argparse's way to refuse
            code = ended.code
        finally:
            logging.root.handlers[:] = before
    return subprocess.CompletedProcess(words, code, out.getvalue(), said.getvalue())
