"""What deploy/ names is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NODES = ROOT / "deploy" / "three-nodes"


def test_an_image_is_built_of_files_that_are_there():
    said = (NODES / "Containerfile").read_text()
    sources = [name for line in re.findall(r"^COPY (.+)$", said, re.M) for name in line.split()[:-1]]
    assert "src" in sources
    assert [name for name in sources if not (ROOT / name).exists()] == []
    options = re.findall(r"\./install (\S+)", said)
    assert options == ["--runtime-only"]
    assert "--runtime-only)" in (ROOT / "install").read_text()


@pytest.fixture(scope="module")
def compose():
    return (NODES / "compose.yaml").read_text()


def test_each_node_is_given_all_that_has_no_default(compose):
    needed = set(re.findall(r"\$\{(\w+):\?", compose))
    given = {line.partition("=")[0] for line in (NODES / "node.env.example").read_text().splitlines() if "=" in line}
    assert needed == given


def test_services_are_given_files_that_are_there(compose):
    services = yaml.safe_load(compose)["services"]
    assert set(services) == {"server", "worker", "haproxy", "keepalived", "database"}
    mounted = [volume for service in services.values() for volume in service["volumes"]]
    files = [volume.split(":")[0] for volume in mounted if volume.startswith("./")]
    assert files
    assert [name for name in files if not (NODES / name).is_file()] == []
    for name in ("server", "worker"):
        assert services[name]["command"] == [name]


def test_haproxy_is_given_what_its_configuration_asks_for(compose):
    asked = set(re.findall(r"\$\{(\w+)\}", (NODES / "haproxy.cfg").read_text()))
    assert asked == set(yaml.safe_load(compose)["services"]["haproxy"]["environment"])
