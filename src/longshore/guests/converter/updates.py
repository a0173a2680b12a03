"""Security updates of Debian's that a converter lacks: nobody's unattended upgrades reach what is in it.

The machine's own mirror is asked, with lists and a cache of our own: nothing of the machine's apt changes.
"""

import subprocess
import tempfile
from pathlib import Path

from longshore.errors import LongshoreError
from longshore.guests.converter.build import sources
from longshore.guests.converter.tree import Converter
from longshore.processes.debian import reaching_mirrors

_LONGEST = 60.0  # seconds for the mirror


def waiting(converter: Converter) -> list[str]:
    """Return the names of packages that have updates. Raises LongshoreError when that can't be found out."""
    lines = [line for line in sources().splitlines() if "-security" in line]
    if not lines:
        raise LongshoreError("apt on this machine knows no mirror of Debian's security updates.")
    with tempfile.TemporaryDirectory(prefix="longshore-updates-") as made:
        place = Path(made)
        place.chmod(0o755)
        (place / "sources").write_text("".join(f"{line}\n" for line in lines))
        (place / "apt").write_text(f"{reaching_mirrors()}{_own(place, converter.root)}")
        _asked(place, "apt-get", "-qq", "update")
        told = _asked(place, "apt-get", "-qq", "--simulate", "--no-download", "upgrade")
    # Inst libxml2 [2.12.7-1] (2.12.7-1+deb13u1 Debian-Security:13/stable-security [amd64])
    return sorted(line.split()[1] for line in told.splitlines() if line.startswith("Inst "))


def _own(place: Path, root: Path) -> str:
    """Return the configuration that keeps apt from the machine's own lists and cache."""
    for name in ("lists/partial", "cache/archives/partial"):
        (place / name).mkdir(parents=True)
    return "".join(
        f'{name} "{value}";\n'
        for name, value in {
            "Dir::Etc::SourceList": place / "sources",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": place / "lists",
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::State::extended_states": "/dev/null",
            "Dir::Cache": place / "cache",
            "Debug::NoLocking": "true",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }.items()
    )


def _asked(place: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_LONGEST,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "APT_CONFIG": str(place / "apt")},
        )
    except subprocess.TimeoutExpired:
        raise LongshoreError(f"the mirror didn't answer within {_LONGEST:.0f} s.") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise LongshoreError(f"{said[0]}.")
    return done.stdout
