"""Trees of Debian that recipes in shell make: from which mirrors, and how such a recipe runs.

The mirrors, their keys and a proxy are those of this machine's own apt.
"""

import hashlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from longshore.errors import LongshoreError
from longshore.processes.parent import die_with_parent

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Of apt's own configuration, what decides how a mirror is reached
_REACHING = ("Acquire::http", "Acquire::https", "Acquire::Retries", "Acquire::ForceIPv", "Acquire::Check-Valid-Until")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RecipeFailed(LongshoreError):
    """A recipe that ended with an error: in brackets what was being done, and then what was said last."""


@dataclass(frozen=True, slots=True)
class DebianArchive:
    """One of Debian's own archives that this machine's apt knows."""

    label: str  # Debian, or Debian-Security
    codename: str  # of the suite that it is known for: bookworm, bookworm-security
    uri: str


def known_archives() -> list[DebianArchive]:
    asked = ["apt-get", "indextargets", "--format", "$(LABEL)\t$(ORIGIN)\t$(CODENAME)\t$(REPO_URI)"]
    try:
        said = subprocess.run([*asked, "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:  # a machine without apt
        return []
    lines = [line.split("\t") for line in said.splitlines() if line.count("\t") == 3]
    return [DebianArchive(label, codename, uri) for label, origin, codename, uri in lines if origin == "Debian"]


def source(uri: str, suite: str) -> str:
    """Return a line for apt's list of sources."""
    return f"deb [signed-by={KEYRING}] {uri} {suite} main\n"


def reaching_mirrors() -> str:
    """Return this machine's proxy settings for apt, as lines of a configuration file: on a command line they might show
    a password."""
    try:
        told = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return ""
    return "".join(f"{line}\n" for line in told if line.startswith(_REACHING))


def digest_of(recipe: Path) -> str:
    """Digest the names and contents of a recipe's files. The digest is the same on every machine."""
    digest = hashlib.sha256()
    for path in sorted(recipe.iterdir()):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def run_recipe(command: Sequence[str], work: Path, progress: Callable[[str], None]) -> None:
    """Run it as root, with its temporary files in `work`, and a log of what it printed on standard error.

    `progress` is told twice a second what is being done, which is what the recipe says on standard output. Raises
    RecipeFailed with the step at which it failed, and the last line that it printed.
    """
    with (work / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            die_with_parent("bash", *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={"PATH": _PATH, "TMPDIR": str(work)},
        )
        steps = ["Beginning"]
        reader = threading.Thread(target=lambda: steps.extend(line.strip() for line in process.stdout or ()))
        reader.start()
        try:
            while reader.is_alive():
                progress(steps[-1])
                reader.join(0.5)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status != 0:
            errors.seek(0)
            said = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
            raise RecipeFailed(f"({steps[-1]}): {said[-1] if said else f'exit status {status}'}")
