"""Lay Longshore's Python environment out as two packages: environment.py TREES DEBIAN.

TREES has a directory of Python packages for each version of Python. Compiled modules carry their ABI in their names, so
all lie side by side in one tree, which lib/python3.X leads to. What the client needs, by its own metadata, goes into
DEBIAN/longshore, the rest into DEBIAN/longshore-engine.
"""

import csv
import email
import email.message
import sys
from collections.abc import Iterator
from pathlib import Path

PREFIX = Path("usr/lib/longshore")
PACKAGES = Path("lib/python3/site-packages")
# What an installer says of itself, and differs from build to build
LEFT_OUT = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}
COMMAND = """#!/usr/lib/longshore/bin/python3
import sys

from longshore.cli.app import main

sys.exit(main())
"""


def normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def needs(metadata: email.message.Message) -> Iterator[str]:
    """Yield the names that a package needs by itself, on any Python. Nobody in the client asks for extras."""
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:
            letters = (n for n, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_."))
            yield normalised(requirement[: next(letters, len(requirement))])


def client(known: dict[str, email.message.Message]) -> set[str]:
    found: set[str] = set()
    todo = ["longshore"]
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found.add(name)
            todo.extend(needs(known[name]))
    return found


def main() -> None:
    trees, debian = sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2])
    commands, engine = debian / "longshore" / PREFIX, debian / "longshore-engine" / PREFIX
    for tree in trees:
        infos = sorted(tree.glob("*.dist-info"))
        known = {info: email.message_from_string((info / "METADATA").read_text()) for info in infos}
        wanted = client({normalised(metadata["Name"]): metadata for metadata in known.values()})
        for info, metadata in known.items():
            place = (commands if normalised(metadata["Name"]) in wanted else engine) / PACKAGES
            with (info / "RECORD").open(newline="") as record:
                files = [Path(row[0]) for row in csv.reader(record)]
            for file in files:
                # Libraries' commands, above the packages or in bin, and tests are nobody's here; a record names all
                if file.parts[0] in ("..", "bin") or "tests" in file.parts or file.name in LEFT_OUT:
                    continue
                target = place / file
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    (tree / file).rename(target)
                    # Some wheels have all of their files be executable
                    runs = target.stat().st_mode & 0o111 and target.open("rb").read(2) == b"#!"
                    target.chmod(0o755 if runs else 0o644)
    for tree in trees:
        (commands / "lib" / f"python{tree.name}").symlink_to("python3")
    (commands / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (commands / "bin").mkdir()
    (commands / "bin/python3").symlink_to("/usr/bin/python3")
    (commands / "bin/longshore").write_text(COMMAND)
    (commands / "bin/longshore").chmod(0o755)
    (debian / "longshore/usr/bin").mkdir()
    (debian / "longshore/usr/bin/longshore").symlink_to("../lib/longshore/bin/longshore")


main()
