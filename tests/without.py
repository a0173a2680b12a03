"""python without.py HIDDEN COMMANDS: run commands of Longshore's on a machine without Debian's bindings.

HIDDEN is a JSON list of top-level modules that aren't there either, COMMANDS one of lists of words. Prints a JSON list
with the exit code and all that was said of each.
"""

import json
import sys

import longshore

longshore.DEBIANS_MODULES = "/nowhere"
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))  # None: it isn't there


def main():
    from in_process import longshore as run

    told = []
    for words in json.loads(sys.argv[2]):
        try:
            ended = run(None, *words)
        except BaseException as error:  # noqa: BLE001 what main() lets out is what a test is to see
            told.append((None, f"{type(error).__name__}: {error}"))
        else:
            told.append((ended.returncode, ended.stdout + ended.stderr))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
