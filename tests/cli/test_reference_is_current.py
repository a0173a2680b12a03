"""The reference pages say what the code says."""

import importlib.util
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[2] / "docs" / "reference" / "generate.py"


@pytest.fixture(scope="module")
def generated():
    spec = importlib.util.spec_from_file_location("generate", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


PAGES = [
    "commands.md",
    "api.md",
    "kinds.md",
    "concerns.md",
    "phases.md",
    "guests.md",
    "plan.schema.json",
    "configuration.md",
    "policy.yaml",
]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_generator_writes(generated, name):
    kept = GENERATOR.with_name(name).read_text()
    stale = f"docs/reference/{name} is stale. Run: .venv/bin/python docs/reference/generate.py"
    assert kept == generated[name], stale
