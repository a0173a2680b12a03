"""The exits of texts from Longshore: found in its source by what is called there."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src/longshore"
# By the last words of what is called
CALLS = {
    "screen": (
        *("print", "Console", "stdout.write", "stderr.write", "stdout.writelines", "stderr.writelines"),
        "buffer.write",
    ),
    "CSV": ("csv.writer", "csv.DictWriter"),
    "YAML": ("yaml.dump", "yaml.dump_all", "yaml.safe_dump", "yaml.safe_dump_all", "yaml.serialize", "yaml.emit"),
    "process": (
        *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"),
        *("create_subprocess_exec", "create_subprocess_shell", "os.system", "os.popen", "os.execv", "os.execve"),
        *("os.execvp", "os.execvpe", "os.posix_spawn", "os.spawnv", "Popen", "exec_command"),
    ),
    "Ansible": ("ansible_runner.run", "ansible_runner.run_async", "ansible_runner.run_command"),
    "template": ("Environment", "Template", "Markup", "Jinja2Templates", "from_string"),
    "XML": ("tostring", "parseString", "toxml"),
    "log": (
        "StreamHandler",
        "FileHandler",
        "structlog.configure",
        "PrintLoggerFactory",
        "WriteLoggerFactory",
        "SysLogHandler",
    ),
    "mail": ("SMTP", "sendmail", "send_message"),
    "guest": ("files.write", "guest.write"),
}
_BY_NAME = {
    name: [kind for kind, names in CALLS.items() if name in names] for names in CALLS.values() for name in names
}


def exits():
    """Return (kind, module) of each way out: ("CSV", "web/sheets.py"); "shell" is where one splits a command line."""
    return {
        (kind, str(path.relative_to(SOURCE)))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for kind in _kinds(node)
    }


def _kinds(node):
    if isinstance(node, ast.Call):
        name, called = _called(node.func)
        yield from (*_BY_NAME.get(name, ()), *_BY_NAME.get(called, ()))
        names = {keyword.arg for keyword in node.keywords}
        if name in ("dump_json", "model_dump_json") or called == "orjson.dumps" or "ensure_ascii" in names:
            yield "JSON"  # json's own way leaves nothing in a text that isn't ASCII
    elif isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False":
        yield "shell"
    elif isinstance(node, ast.Constant) and str(node.value).lower() == "content-disposition":
        yield "header"
    elif isinstance(node, ast.ImportFrom) and node.module == "html":
        yield "HTML"


def _called(function):
    """Return "write" and "stdout.write" of `sys.stdout.write`."""
    owner = getattr(function, "value", None)
    name = getattr(function, "attr", getattr(function, "id", ""))
    return name, f"{getattr(owner, 'attr', getattr(owner, 'id', ''))}.{name}"
