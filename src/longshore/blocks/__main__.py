"""`python -m longshore.blocks SOURCE_URI TARGET_URI …`: one copy in a process of its own."""

import argparse
import sys

from longshore.blocks.command import add_arguments, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m longshore.blocks", description="Copy a disk from NBD to NBD.")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
