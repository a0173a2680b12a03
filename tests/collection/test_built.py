"""The built collection, as Galaxy takes it in and ansible-lint sees it, with both from the package index."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "bin" / "uv"
NEEDED = ("galaxy-importer==0.4.44", "ansible-lint==26.10.1", "ansible-core<2.20")
pytestmark = [pytest.mark.soak, pytest.mark.skipif(not UV.exists(), reason="./install has made no .tools here")]


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """Yield what runs a command of these tools, and says what it said."""
    place = tmp_path_factory.mktemp("tools")
    subprocess.run([UV, "venv", "-q", "--python", "/usr/bin/python3", place / "venv"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", place / "venv/bin/python", *NEEDED], check=True)
    known = {"PATH": f"{place}/venv/bin:{os.environ['PATH']}", "HOME": str(place), "LC_ALL": "C.UTF-8"}

    def run(*words, at=place):
        done = subprocess.run(
            [place / "venv/bin" / words[0], *words[1:]], cwd=at, env=known, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("ansible-galaxy", "collection", "build", str(ROOT / "collection"), "--output-path", str(place))
    return run, next(place.glob("longshore-longshore-*.tar.gz"))


@pytest.mark.timeout(3600)
def test_galaxy_takes_it_in(tools):
    run, built = tools
    said = run("python", "-m", "galaxy_importer.main", built.name)
    assert "Importer processing completed successfully" in said
    assert "ERROR" not in said


@pytest.mark.timeout(1800)
def test_ansible_lint_has_nothing_to_say_of_the_role(tools, tmp_path):
    run, built = tools
    place = tmp_path / "ansible_collections" / "longshore" / "longshore"
    place.mkdir(parents=True)
    subprocess.run(["tar", "-xf", built, "-C", place], check=True)
    assert "0 failure(s), 0 warning(s)" in run("ansible-lint", "--offline", "--nocolor", "roles", at=place)
