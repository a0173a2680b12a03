"""`python -m longshore.blocks SOURCE_URI TARGET_URI …`: one copy in a process of its own."""

import os
import sys

from longshore.blocks.command import main
from longshore.processes.deadline import obey

if __name__ == "__main__":
    obey()
    code = main(sys.argv[1:], "python -m longshore.blocks")
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed, and what is durable is on its disk. Taking the interpreter down in order would cost another 10 ms
    os._exit(code)
