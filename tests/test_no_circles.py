"""A module stands on others, and none of them on it: what is read first can be understood by itself."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def test_no_modules_import_each_other():
    """Imports inside of functions count, too, as do those that only types take."""
    names = {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in SOURCE.glob("longshore/**/*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    stands_on = {
        name: {
            module if module in modules else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("longshore")
            for module in (f"{node.module}.{alias.name}" for alias in node.names)
        }
        - {name}
        for name, path in modules.items()
    }
    assert len(stands_on) > 500
    TopologicalSorter(stands_on).prepare()  # raises CycleError, which names them
