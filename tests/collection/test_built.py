"""The built collection: Galaxy takes it in, ansible-lint says nothing of its role, antsibull-docs makes its pages.

All three are of the package index.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "bin" / "uv"
NEEDED = ("galaxy-importer==0.4.44", "ansible-lint==26.10.1", "antsibull-docs==2.28.0", "ansible-core<2.20")
OURS = "longshore.longshore"
pytestmark = [pytest.mark.soak, pytest.mark.skipif(not UV.exists(), reason="./install has made no .tools here")]


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """Return what runs a command of these tools and returns what it said, the built file, and what is in it as Ansible
    finds it."""
    place = tmp_path_factory.mktemp("tools")
    subprocess.run([UV, "venv", "-q", "--python", "/usr/bin/python3", place / "venv"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", place / "venv/bin/python", *NEEDED], check=True)
    known = {"PATH": f"{place}/venv/bin:{os.environ['PATH']}", "HOME": str(place), "LC_ALL": "C.UTF-8"}
    known["ANSIBLE_COLLECTIONS_PATH"] = str(place)

    def run(*words, at=place):
        done = subprocess.run(
            [place / "venv/bin" / words[0], *words[1:]], cwd=at, env=known, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("ansible-galaxy", "collection", "build", str(ROOT / "collection"), "--output-path", str(place))
    built = next(place.glob("longshore-longshore-*.tar.gz"))
    unpacked = place / "ansible_collections" / "longshore" / "longshore"
    unpacked.mkdir(parents=True)
    subprocess.run(["tar", "-xf", built, "-C", unpacked], check=True)
    return run, built, unpacked


@pytest.mark.timeout(3600)
def test_galaxy_takes_it_in(tools):
    run, built, _unpacked = tools
    said = run("python", "-m", "galaxy_importer.main", built.name)
    assert "Importer processing completed successfully" in said
    assert "ERROR" not in said


@pytest.mark.timeout(1800)
def test_ansible_lint_has_nothing_to_say_of_the_role(tools):
    run, _built, unpacked = tools
    assert "0 failure(s), 0 warning(s)" in run("ansible-lint", "--offline", "--nocolor", "roles", at=unpacked)


@pytest.mark.timeout(1800)
def test_a_page_is_made_of_each_module_and_says_nothing_wrong(tools, tmp_path):
    run, _built, unpacked = tools
    assert run("antsibull-docs", "lint-collection-docs", "--plugin-docs", ".", at=unpacked) == ""
    run("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--dest-dir", str(tmp_path), OURS)
    pages = {path.name for path in tmp_path.glob("*.rst")}
    modules = {f"{path.stem}_module.rst" for path in (unpacked / "plugins" / "modules").glob("*.py")}
    assert modules | {"landed_inventory.rst", "server_role.rst"} <= pages
    assert not [path.name for path in tmp_path.glob("*.rst") if "was malformed" in path.read_text()]
