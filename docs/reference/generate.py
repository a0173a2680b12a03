"""Writes the reference pages beside this file from the code itself: .venv/bin/python docs/reference/generate.py"""

import json
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from longshore.cli.commands import CommandLoader, all_commands
from longshore.cli.shell import LongshoreApp
from longshore.cli.usage import is_of_output, labelled, placeholder, usage, with_default
from longshore.configuration import (
    PREFIX,
    Configuration,
    ConfiguredCloud,
    Keystone,
    NodeSettings,
    QuotaSettings,
    ServiceSettings,
    SingleSignOnSettings,
    WebSettings,
)
from longshore.model.phases import MEANINGS, OF_ANY, of_kind
from longshore.model.request import MigrationType
from longshore.planning import planfile
from longshore.planning.catalogue import catalogue
from longshore.planning.kinds import ConcernKind
from longshore.service import create_app
from longshore.service.policy import sample
from longshore.store import StateDirectory, Store
from longshore.tenancy.kind import Field, ResourceKind
from longshore.tenancy.kinds import KINDS

HERE = Path(__file__).parent
NOTICE = (
    "<!-- Made by generate.py from the code. Change that, then run: .venv/bin/python docs/reference/generate.py -->"
)
METHODS = ("get", "post", "put", "patch", "delete")

_COMMANDS = """\
# Commands

{notice}

`longshore [GLOBAL OPTIONS] COMMAND [OPTIONS]`. Every command has `--help`; `longshore help COMMAND` is the same.

Exit codes: 0 done; 1 it could not be done, and one line on standard error says why; 2 wrong usage, nothing was tried;
130 Ctrl-C.

## Global options

{options}

## Output

Commands that answer something print a table for people, or with `-f` something for programs. Results are on standard
output, everything else on standard error. Lists take:

{list_options}

Commands that show one thing take:

{show_options}
"""

_API = """\
# REST API

{notice}

JSON over HTTP, below `/v1`. The commands use this API and nothing else. Without a server the service runs inside the
command's own process and no port is opened; [`longshore server`](../howto/server.md) serves it on the network, to
callers with a Keystone token in `X-Auth-Token`. There a caller sees the things of the token's project, and an
administrator with `?all_projects=true` those of all. Every answer has an id in `X-Openstack-Request-Id`.

An error is `{{"code": …, "message": …}}`: the code is for programs and stays, the message is a sentence for people.
Times are RFC 3339 in UTC, sizes bytes. Unknown fields are refused. The whole description is served as
`/v1/openapi.json`.

| Request | Body | Answer | |
| --- | --- | --- | --- |
{routes}

## Objects
"""


_CONCERNS = """\
# Concerns

{notice}

What `longshore plan check` may say about machines before they are moved, and `longshore migrate` before it begins. The
code is for programs and stays. A *blocker* stops the start, a *warning* is something that will be different or may go
wrong, *information* needs nothing done. A blocker marked "acceptable" becomes a warning when its code is named with
`--accept`; with the others no move is possible.

Quotas are counted over all machines of a plan. What is needed only while a machine moves, such as the snapshots that a
conversion can go back to, is counted for as many machines as move at once.
"""


def pages() -> dict[str, str]:
    """Each generated file's name and text."""
    schema = json.dumps(planfile.schema(), indent=2) + "\n"
    return {
        "commands.md": _commands_page(),
        "api.md": _api_page(),
        "kinds.md": _kinds_page(),
        "concerns.md": _concerns_page(),
        "phases.md": _phases_page(),
        "plan.schema.json": schema,
        "guests.md": _guests_page(),
        "clouds.md": _clouds_page(),
        "configuration.md": _configuration_page(),
        "policy.yaml": sample() + "\n",
    }


# Commands


def _commands_page() -> str:
    app = LongshoreApp()
    commands = {words: _command(point, words, app) for words, point in all_commands().items()}
    parsers = {words: command.get_parser(f"longshore {words}") for words, command in commands.items()}
    head = _COMMANDS.format(
        notice=NOTICE,
        options=_table(app.build_option_parser("", "")),
        list_options=_output_options(commands, parsers, Lister),
        show_options=_output_options(commands, parsers, ShowOne),
    )
    return "\n".join([head, *(_command_section(w, commands[w], parsers[w]) for w in sorted(commands))])


def _command(point: CommandLoader, words: str, app: LongshoreApp) -> Command:
    command: Command = point.load()(app, None, cmd_name=words)
    return command


def _output_options(commands: dict[str, Command], parsers: dict[str, ArgumentParser], kind: type[Command]) -> str:
    """The same for all commands of a kind: taken from the first."""
    words = min(words for words, command in commands.items() if isinstance(command, kind))
    return _table(parsers[words], own=False)


def _command_section(words: str, command: Command, parser: ArgumentParser) -> str:
    answers = {True: "a list", False: "one thing"}[isinstance(command, Lister)]
    kind = f"\n\nAnswers {answers}." if isinstance(command, Lister | ShowOne) else ""
    description = command.get_description().strip().rstrip(".")
    written = " ".join(["longshore", words, *usage(parser)])
    table = _table(parser)
    block = "\n".join(["```", written, "", *command.examples, "```"])
    return "\n\n".join(filter(None, [f"## {words}", f"{description}.{kind}", block, table])) + "\n"


def _table(parser: ArgumentParser, *, own: bool = True) -> str:
    """Own options with the titles that the command's help has above them."""
    rows: list[str] = []
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != SUPPRESS and "--help" not in a.option_strings]
        if is_of_output(group.title) == own or not actions:
            continue
        if own and group.title not in ("positional arguments", "options"):
            rows.append(f"| *{_cell(str(group.title))}* | |")
        rows += [f"| {_names(action)} | {_help(parser, action)} |" for action in actions]
    return "\n".join(["| | |", "| --- | --- |", *rows]) if rows else ""


def _names(action: Action) -> str:
    if not action.option_strings:
        return f"`{placeholder(action)}`"
    return ", ".join(f"`{_cell(labelled(action, name))}`" for name in action.option_strings)


def _help(parser: ArgumentParser, action: Action) -> str:
    return _cell(with_default(parser._get_formatter()._expand_help(action) if action.help else "", action))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# REST API


def _api_page() -> str:
    with TemporaryDirectory() as directory:
        store = Store(StateDirectory(Path(directory)))
        try:
            document = create_app(store).openapi()
        finally:
            store.close()
    routes = [
        f"| `{method.upper()} {path}` | {_body(route)} | {_answer(route)} | {_cell(_line(route))} |"
        for path, methods in document["paths"].items()
        for method, route in methods.items()
        if method in METHODS
    ]
    head = _API.format(notice=NOTICE, routes="\n".join(routes))
    schemas = document["components"]["schemas"]
    return "\n".join([head, *(_object(name, schemas[name]) for name in sorted(schemas) if _ours(name))])


def _ours(name: str) -> bool:
    """FastAPI describes its own errors too, which the service never sends."""
    return name not in ("HTTPValidationError", "ValidationError")


def _line(route: dict[str, Any]) -> str:
    """The first paragraph of the function's own words; a route that needs none says it with its answer."""
    described: str = route.get("description", "")
    return described.partition("\n\n")[0]


def _body(route: dict[str, Any]) -> str:
    return _type(route["requestBody"]["content"]["application/json"]["schema"]) if "requestBody" in route else ""


def _answer(route: dict[str, Any]) -> str:
    status, answer = next((code, a) for code, a in route["responses"].items() if code.startswith("2"))
    content = answer.get("content", {}).get("application/json")
    return f"{status} {_type(content['schema'])}" if content else status


def _object(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        values = ", ".join(f"`{value}`" for value in schema["enum"])
        return f"### {name}\n\nOne of {values}.\n"
    required = schema.get("required", ())
    rows = [
        f"| `{field}` | {_type(kind)} | {'required' if field in required else _default(kind)} |"
        for field, kind in schema.get("properties", {}).items()
    ]
    return "\n".join([f"### {name}", "", "| Field | Type | |", "| --- | --- | --- |", *rows, ""])


def _default(kind: dict[str, Any]) -> str:
    default = kind.get("default")
    return "" if default in (None, "") or isinstance(default, dict | list) else f"default: {json.dumps(default)}"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if some := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in _without_repeats(some))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum") or [schema["const"]])
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", "anything"))


def _without_repeats(schemas: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({str(schema): schema for schema in schemas}.values())


# Concerns


def _concerns_page() -> str:
    areas = (_area(area, kinds) for area, kinds in catalogue().items())
    return "\n".join([_CONCERNS.format(notice=NOTICE), *areas])


def _area(area: str, kinds: list[ConcernKind]) -> str:
    rows = [
        f"| `{kind.code}` | {kind.severity}{', acceptable' if kind.acceptable else ''} | {_cell(kind.meaning)} "
        f"| {_cell(kind.advice)} |"
        for kind in kinds
    ]
    return "\n".join(
        [f"## {area}", "", "| Code | Severity | Meaning | What to do |", "| --- | --- | --- | --- |", *rows, ""]
    )


# Phases

_PHASES = """\
# Phases

{notice}

What `longshore migration show` and its events call a phase; programs get the same by `GET /v1/catalogue`. Each kind has
these in their usual order; what nothing asks for is left out. Any of them may come to {any}, too.

| Kind | Phases |
| --- | --- |
{courses}

| Phase | |
| --- | --- |
{meanings}
"""


def _phases_page() -> str:
    courses = (f"| {kind.value} | {_named(of_kind(kind))} |" for kind in MigrationType)
    meanings = (f"| `{phase}` | {_cell(meaning)} |" for phase, meaning in MEANINGS.items())
    return _PHASES.format(notice=NOTICE, any=_named(OF_ANY), courses="\n".join(courses), meanings="\n".join(meanings))


def _named(phases: Iterable[str]) -> str:
    return ", ".join(f"`{phase}`" for phase in phases)


# Kinds of resources as files

_KINDS = """\
# Kinds of resources

{notice}

What `longshore tenant` writes to [files](../formats/tenant.md) and reads from them, in the order in which it is made.
Kinds whose files are in `longshore/`, and fields marked *own*, are unknown to OS-Migrate: in files that it reads,
such fields are in `_migration_params`.
"""


def _kinds_page() -> str:
    return "\n".join([_KINDS.format(notice=NOTICE), *map(_kind, KINDS)])


def _kind(kind: ResourceKind) -> str:
    who = " Only an administrator may see and make them." if kind.admin else ""
    rows = [f"| `{field.name}` | {_field(field)} |" for field in kind.fields]
    head = f"`{kind.type_name}` in `{kind.file}`.{who}"
    return "\n".join([f"## {kind.plural}", "", head, "", "| `params` | |", "| --- | --- |", *rows, ""])


def _field(field: Field) -> str:
    named = [kind for kind in field.refs.values() if isinstance(kind, str)]
    words = {
        "required": field.required,
        f"names a {' and a '.join(named)}" if named else "names what its type says": bool(field.refs),
        "can be changed later": field.update,
        "only an administrator may set it": field.admin,
        "never compared": not field.compare,
        "*own*": field.extra,
    }
    return ", ".join(word for word, said in words.items() if said)


# Configuration

_CONFIGURATION = """\
# Configuration

{notice}

What operators of `longshore worker` and [`longshore server`](../howto/server.md) set, in a TOML file:
`/etc/longshore/longshore.toml`, or the one that `--config` names. An environment variable goes before the file. A file
with a password in it should be readable by its user alone.
"""
_SECTIONS: dict[str, tuple[Any, str]] = {
    "[server]": (ServiceSettings, "SERVER__"),
    "[server.keystone]": (Keystone, "SERVER__KEYSTONE__"),
    "[server.quotas]": (QuotaSettings, "SERVER__QUOTAS__"),
    "[server.node]": (NodeSettings, "SERVER__NODE__"),
    "[server.web]": (WebSettings, "SERVER__WEB__"),
    "[[server.web.sso]]": (SingleSignOnSettings, ""),
    "[[server.clouds]]": (ConfiguredCloud, ""),
}


def _configuration_page() -> str:
    lines = [_CONFIGURATION.format(notice=NOTICE), *_settings(Configuration, PREFIX)]
    for head, (section, prefix) in _SECTIONS.items():
        lines += ["", f"## {head}", "", _cell(str(section.__doc__)), ""]
        lines += _settings(section, PREFIX + prefix if prefix else "")
    lines += [
        "",
        f"As variables: `{PREFIX}SERVER__WEB__SSO` and `{PREFIX}SERVER__CLOUDS`, JSON lists. Without any cloud, it is "
        "the one of `keystone`.",
        "",
    ]
    return "\n".join(lines)


def _settings(section: Any, prefix: str) -> list[str]:
    """What has no words of its own is a section."""
    rows = ["| Option | Default | Variable | |", "| --- | --- | --- | --- |"]
    for name, setting in section.model_fields.items():
        if not setting.description:
            continue
        default = "required" if setting.is_required() else f"`{setting.default}`"
        known = "" if setting.default in (None, [], ()) else default
        variable = f"`{prefix}{name.upper()}`" if prefix else ""
        rows.append(f"| `{name}` | {known} | {variable} | {_cell(setting.description)} |")
    return rows


# Guests


def _guests_page() -> str:
    matrix = json.loads((HERE / "guests.json").read_text())
    runs = json.loads((HERE / "guest_runs.json").read_text())
    columns = matrix["columns"]
    table = [f"| Guest | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    named: list[str] = []
    for guest in matrix["guests"]:
        cells = [guest.get(column, [""]) for column in columns]
        table.append(f"| {guest['guest']} | {' | '.join(_outcome(*cell, runs=runs) for cell in cells)} |")
        named.extend(test for _, *tests in cells for test in tests)
    rows = [f"| `{test}` | {_run(runs.get(test))} |" for test in dict.fromkeys(named)]
    head = ["| Test | Outcome | Date | Commit | Converter | Seconds |", "| --- | --- | --- | --- | --- | --- |"]
    return (
        (HERE / "guests.md.in")
        .read_text()
        .format(notice=NOTICE, table="\n".join(table), runs="\n".join([*head, *rows]))
    )


def _outcome(what: str, *tests: str, runs: dict[str, dict[str, Any]]) -> str:
    """What the tests show, if all have; else what is amiss."""
    outcomes = {runs[test]["outcome"] if test in runs else "not run" for test in tests}
    if outcomes <= {"passed"}:
        return what
    amiss = "failed" if "failed" in outcomes else "not run" if outcomes == {"not run"} else "not all run"
    return f"*{amiss}* ({what})"


def _run(run: dict[str, Any] | None) -> str:
    if run is None:
        return "not run | | | |"
    words = (run["outcome"], run["date"], run["commit"], run.get("converter", "virt-v2v 2.2"))
    return f"{' | '.join(words)} | {run.get('seconds', 'noted by hand')}"


# Clouds


def _clouds_page() -> str:
    matrix = json.loads((HERE / "clouds.json").read_text())
    runs = json.loads((HERE / "cloud_runs.json").read_text())
    clouds: dict[str, str] = matrix["clouds"]
    table = [f"| What | {' | '.join(clouds.values())} |", "| --- |" + " --- |" * len(clouds)]
    for row in matrix["rows"]:
        cells = [_passed(_runs_of(row["tests"], runs.get(cloud, {}))) for cloud in clouds]
        table.append(f"| {row['what']} | {' | '.join(cells)} |")
    between = ["| What | |", "| --- | --- |"]
    between += [
        f"| {row['what']} | {_passed(_runs_of(row['tests'], runs.get('lab', {})))} |" for row in matrix["between"]
    ]
    times = ["| Test | In | Outcome | Date | Commit | Seconds |", "| --- | --- | --- | --- | --- | --- |"]
    times += [
        f"| `{test}` | {release} | {run['outcome']} | {run['date']} | {run['commit']} | {run['seconds']} |"
        for cloud, release in clouds.items()
        for test, run in sorted(runs.get(cloud, {}).items())
    ]
    pieces = {"table": table, "between": between, "runs": times}
    return (
        (HERE / "clouds.md.in")
        .read_text()
        .format(
            notice=NOTICE,
            clouds=" and ".join(matrix["about"].values()),
            **{name: "\n".join(lines) for name, lines in pieces.items()},
        )
    )


def _runs_of(tests: list[str], runs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """`tests` are names of tests, with or without their parameters, and of files."""
    return [run for test, run in runs.items() if {test, test.partition("[")[0], test.partition("::")[0]} & set(tests)]


def _passed(runs: list[dict[str, Any]]) -> str:
    failed = sum(run["outcome"] == "failed" for run in runs)
    if failed:
        return f"*{failed} of {len(runs)} failed*"
    return f"{len(runs)} passed" if runs else ""


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
