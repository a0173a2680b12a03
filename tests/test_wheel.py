"""The wheel in environments of its own: what docs/howto/install.md says is typed. Takes packages from the index."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = ROOT / ".tools" / "bin" / "uv"
PAGE = ROOT / "docs" / "howto" / "install.md"
pytestmark = [pytest.mark.soak, pytest.mark.skipif(not UV.exists(), reason="./install has made no .tools here")]

NO_CLOUD = "OS_CLOUD is mine, and no clouds.yaml has an entry of that name|Cloud mine was not found"
# Each command of the page, the exit code that it has where nobody's cloud is, and what it says then
SAID = {
    "make wheel": None,  # which has made it before the tests
    "ls dist": (0, r"^longshore-0\.1\.0-py3-none-any\.whl$"),
    "pipx install dist/longshore-0.1.0-py3-none-any.whl": (0, "installed package longshore 0.1.0"),
    "export LONGSHORE_URL=https://cloud.example:9797 OS_CLOUD=mine": (0, ""),
    "longshore provider list": (1, NO_CLOUD),
    "pipx install python-openstackclient": (0, "- openstack"),
    "pipx inject python-openstackclient dist/longshore-0.1.0-py3-none-any.whl": (0, "injected package longshore"),
    "openstack migration provider list": (1, NO_CLOUD),
    "env -u LONGSHORE_URL longshore provider list": (1, re.escape("install longshore[engine].")),
}
WITH_ENGINE = {
    "pipx install 'dist/longshore-0.1.0-py3-none-any.whl[engine]'": (0, "installed package longshore 0.1.0"),
    "longshore provider list": (0, "There is none. Add one: longshore provider add"),
}


def commands(before, after):
    """The commands of the page between two of its headings."""
    part = f"\n{PAGE.read_text()}".partition(f"\n{before}\n")[2].partition(f"\n{after}\n")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def type_in(tmp_path):
    """Types commands into a shell, one after the other, in which pipx is, and Debian's packages aren't."""
    subprocess.run([UV, "venv", "-q", "--python", "/usr/bin/python3", tmp_path / "pipx"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", tmp_path / "pipx/bin/python", "pipx"], check=True)
    shutil.copytree(ROOT / "dist", tmp_path / "dist", ignore=lambda _at, names: set(names) - {*wheels(names)})
    kept = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) or "proxy" in name.lower()
    }
    variables = {
        **kept,
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}/.local/bin:{tmp_path}/pipx/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PIPX_DEFAULT_PYTHON": "/usr/bin/python3",
    }

    def type_in(lines):
        shown = "".join(f"echo '@@@'\n{line}\necho \"@$?\"\n" for line in lines)
        done = subprocess.run(
            ["bash"],
            input=shown,
            env=variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        answers = [part.strip().rpartition("@") for part in done.stdout.split("@@@\n")[1:]]
        return [(line, int(code), said.strip()) for line, (said, _, code) in zip(lines, answers, strict=True)]

    type_in.at = tmp_path
    return type_in


def wheels(names):
    return [name for name in names if name.startswith("longshore-") and name.endswith(".whl")]


def size_of(directory):
    """Bytes on the disk of what isn't made here: without bytecode, and without pip."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")


def test_a_client_is_installed_as_the_page_says_and_is_small(type_in):
    lines = [*commands("# Install it", "## The client"), *commands("## The client", "## All of it")]
    assert set(lines) == set(SAID)
    for line, code, said in type_in([line for line in lines if SAID[line]]):
        expected, words = SAID[line]
        assert code == expected, (line, said)
        assert re.search(words, said, re.MULTILINE), (line, said)
        assert "Traceback" not in said
    size = size_of(type_in.at / ".local/share/pipx/venvs/longshore")
    print(f"a client takes {size >> 20} MiB")
    assert size < 110 << 20


def test_its_engine_is_installed_as_the_page_says_and_needs_no_package_of_debians_to_list(type_in):
    lines = commands("## The wheel with its engine", "## Which Pythons")
    assert set(lines) == set(WITH_ENGINE)
    for line, code, said in type_in(lines):
        expected, words = WITH_ENGINE[line]
        assert code == expected, (line, said)
        assert re.search(words, said, re.MULTILINE), (line, said)
    print(f"with its engine it takes {size_of(type_in.at / '.local/share/pipx/venvs/longshore') >> 20} MiB")
