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


def exits():
    """Return (kind, module) of each way out: ("CSV", "web/sheets.py")."""
    return {
        (kind, str(path.relative_to(SOURCE)))
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        for kind in _kinds(node)
    }


def shells():
    """Modules that have a shell split a command line of theirs."""
    return {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False"
    }


def _kinds(node):
    if isinstance(node, ast.Call):
        called = f".{ast.unparse(node.func)}"
        yield from (kind for kind, names in CALLS.items() if called.endswith(tuple(f".{name}" for name in names)))
        names = {keyword.arg for keyword in node.keywords}
        if called.endswith((".dump_json", ".model_dump_json", "orjson.dumps")) or "ensure_ascii" in names:
            yield "JSON"  # json's own way leaves nothing in a text that isn't ASCII
    elif isinstance(node, ast.Constant) and str(node.value).lower() == "content-disposition":
        yield "header"
    elif isinstance(node, ast.ImportFrom) and node.module == "html":
        yield "HTML"
