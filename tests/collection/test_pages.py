"""What documents show of playbooks: modules that there are, with options that they have."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "collection" / "plugins" / "modules"
FRAGMENTS = ROOT / "collection" / "plugins" / "doc_fragments"
OURS = "longshore.longshore."


def part(file, name):
    """Return a YAML text of a module's."""
    return yaml.safe_load(re.search(rf'^ *{name} = r"""(.*?)"""', file.read_text(), re.DOTALL | re.MULTILINE)[1])


def options(module):
    """Return the names of a module's options, by what its documentation says."""
    said = part(MODULES / f"{module}.py", "DOCUMENTATION")
    found = dict(said["options"])
    for fragment in said["extends_documentation_fragment"]:
        found |= part(FRAGMENTS / f"{fragment.removeprefix(OURS)}.py", "DOCUMENTATION").get("options", {})
    return found.keys()


def shown():
    """Yield the page and each play of the documents."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            if OURS in block and "hosts:" in block:
                yield from ((page.name, play) for play in yaml.safe_load(block))


def plays():
    """Yield the tasks of the documents' plays, and the examples of the modules."""
    for page, play in shown():
        if "tasks" in play:
            yield pytest.param(play["tasks"], id=f"{page}-{play.get('name', '')}")
    for module in sorted(MODULES.glob("*.py")):
        yield pytest.param(part(module, "EXAMPLES"), id=module.stem)


@pytest.mark.parametrize("tasks", list(plays()))
def test_what_is_shown_is_there(tasks):
    ours = [(name, said) for task in tasks for name, said in task.items() if name.startswith(OURS)]
    assert ours
    for name, said in ours:
        assert not said.keys() - options(name.removeprefix(OURS)), name


def test_the_role_has_the_variables_that_are_shown():
    roles = [role for _page, play in shown() for role in play.get("roles", ())]
    assert roles
    for role in roles:
        there = ROOT / "collection" / "roles" / role["role"].removeprefix(OURS) / "meta" / "argument_specs.yml"
        known = yaml.safe_load(there.read_text())["argument_specs"]["main"]["options"]
        assert not role["vars"].keys() - known.keys()


def test_each_module_is_in_the_group_and_on_the_page():
    modules = {path.stem for path in MODULES.glob("*.py")}
    runtime = yaml.safe_load((ROOT / "collection" / "meta" / "runtime.yml").read_text())
    assert set(runtime["action_groups"]["longshore"]) == modules
    table = (ROOT / "docs" / "howto" / "ansible.md").read_text().partition("\n## ")[0]
    assert not [name for name in modules if f"`{name}`" not in table]
