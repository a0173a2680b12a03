"""One dreadful name through every way out of Longshore; and no way out that isn't known here."""

import csv
import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
import yaml
from rich.table import Table
from rich.text import Text

from exits import exits
from longshore.border.documents import ansible_address, ansible_host, ansible_variables, as_json, as_yaml
from longshore.border.texts import attachment, csv_cell, html, line, markdown, printable, shortened
from longshore.cli import screen
from longshore.cli.command import Lister, ShowOne
from longshore.cli.terminal import screened
from longshore.flows.telling.sending import mail_of
from longshore.model.channel import MailServer, Notice
from longshore.model.strict_reading import read_json
from longshore.model.strict_yaml import plain, read_yaml
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from longshore.web.rendering import environment
from point_in_vault import with_point

ODD = (
    "=1+1 {{ lookup('pipe', 'id') }} {% raw %} {$ x.constructor $} %s %(a)s %1b {0}\x1b]0;title\x07\x1b[2J\x9b2K\x7f"
    "'\"`touch ran` $(touch ran) ; | & \\ <script>alert(1)</script> [x](http://example.org) ![i](i) *b* [red]\r\n"
    "fake row\n\u2028\u2029\x85../../etc/passwd\u202egpj.exe\u2066\ufeff\U000e0041"
)
DREADFUL = ODD + "a" * 10_000
RAW = set("\x1b\x07\x9b\x7f\r\x85\u2028\u2029\u202e\u2066\ufeff\U000e0041")

# Of each way out: what it is, and the modules that have one. Whoever adds another says here how a stranger's text gets
# through it, in a test below, or why none ever does
KNOWN = {
    "Ansible": {"flows/moves/playbook.py"},  # tests/flows/test_hooks.py runs real playbooks
    "CSV": {"web/sheets.py"},
    "HTML": {"border/texts.py"},
    "JSON": {
        "border/documents.py",
        "flows/replicas/marks.py",  # packed into base64
        *("service/jobs.py", "service/plan_states.py", "service/plans.py", "service/stream.py"),  # answers
        "store/quota.py",  # only counts its letters
        "tenancy/passwords.py",  # a line of JSON that is read as YAML
    },
    "XML": {"guests/virt_v2v.py"},  # numbers of ports
    "YAML": {"border/documents.py", "tenancy/yamlfile.py"},
    "guest": {
        "guests/addressing/writing.py",  # addresses, and what stands in the same guest's files already
        "guests/agents.py",  # texts of our own
        "guests/first_boot.py",  # a user's scripts
        "guests/grub_wrapper.py",  # what stands in the same guest's files already
        "guests/interfaces.py",  # names and addresses that stand in the same guest's files
        "guests/serial_console.py",  # the same for its boot loader
        "guests/windows_agents.py",  # texts of our own, and names of the operator's files
        "guests/windows_first_boot.py",  # a text of our own
    },
    "header": {"border/texts.py"},
    "log": {"logs.py"},
    "mail": {"flows/telling/sending.py"},
    # Lists of words, of which no shell makes others
    "process": {
        *("blocks/process.py", "cli/known_names.py", "engine/embedded.py", "flows/telling/sending.py"),
        *("flows/replicas/gate_command.py", "guests/initramfs.py", "guests/start.py", "processes/launcher.py"),
        *("guests/converter/build.py", "guests/converter/updates.py", "processes/debian.py"),
        "processes/installed.py",
        *("guests/machine_check.py", "guests/mounted.py", "guests/virt_v2v.py", "processes/child.py"),
        *("providers/openstack/ceph.py", "providers/openstack/changes.py", "providers/vault/exporting.py"),
        "providers/vsphere/disks.py",  # words of the provider's settings
        "providers/vsphere/proxy_ova.py",  # an image of our own
        "vault/left/restore.py",
    },
    # Beside the commands, which `screened` is around
    "screen": {
        *("blocks/command.py", "blocks/progress.py"),  # `longshore copy`, within `screened`
        # Lines of JSON, and bytes, for the process that began this one
        *("flows/moves/playbook.py", "flows/moves/proving.py", "flows/replicas/gate_command.py", "guests/__main__.py"),
        *("guests/files_confined.py", "guests/virt_v2v.py", "guests/work.py", "providers/openstack/rbd_diff.py"),
        *("vault/__main__.py", "vault/nbd.py"),
        "service/server.py",  # addresses of its own settings
        "engine/upgrade.py",  # ids of jobs, and what is wrong with its own configuration
        "vault/left/restore.py",
    },
    # All but the last are given what `Markup.format` or Jinja escapes; what that is given is refused beforehand
    # where a file of configuration or a shell would read more into it than a name
    "template": {"web/advices.py", "web/forms.py", "web/pages/replicas.py", "web/rendering.py", "nodes/prepared.py"},
}


def test_there_is_no_way_out_that_nobody_thought_of():
    found = {}
    for kind, module in exits():
        if not (kind == "screen" and module.startswith("cli/")):
            found.setdefault(kind, set()).add(module)
    assert found.pop("shell", set()) == set(), "no shell splits a line that anybody's text could be in"
    new = {(kind, one) for kind, modules in found.items() for one in modules - KNOWN.get(kind, set())}
    gone = {(kind, one) for kind, modules in KNOWN.items() for one in modules - found.get(kind, set())}
    assert not new, "a new way out: go by longshore.border, or say in KNOWN how a stranger's text gets through it"
    assert not gone, "a way out that is no more: take it out of KNOWN"


def clean(text, *, lines=False):
    return not RAW & set(text) and (lines or "\n" not in text)


def test_screens():
    written = io.StringIO()
    sys_stdout, sys.stdout = sys.stdout, written
    try:
        with screened():
            print(DREADFUL)
            sys.stdout.writelines([DREADFUL])
    finally:
        sys.stdout = sys_stdout
    assert clean(written.getvalue(), lines=True)
    assert "\\x1b]0;title\\x07" in written.getvalue(), "seen, rather than left out"
    assert (clean(line(DREADFUL)), clean(shortened(DREADFUL)), len(shortened("a" * 10_000))) == (True, True, 200)
    assert printable("Müller\t\u00a0日本\n") == "Müller\t\u00a0日本\n"


def test_what_is_drawn_on_a_screen(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    console = screen.console()
    table = Table("Machine")
    table.add_row(ODD)
    console.print(Text(ODD), ODD, table)
    with screen.Screen(console) as drawn:
        drawn.print(Text(ODD))
        drawn.show(table)
    own = written.getvalue()
    for command in ("\x1b[?25l", "\x1b[?25h", "\x1b[J", "\r"):
        own = own.replace(command, "")
    assert clean(own, lines=True)
    assert "[red]" in own, "not taken for a colour"


class Machines(Lister):
    def take_action(self, _args):
        return ("Name", "Size"), [(DREADFUL, 1), ("web", 2)]


class Machine(ShowOne):
    def show(self, _args):
        return {"name": DREADFUL, "tags": [DREADFUL]}


def answered(command, *words):
    written = io.StringIO()
    made = command(SimpleNamespace(stdout=written), Namespace(), "a command")
    made.run(made.get_parser("machines").parse_args(list(words)))
    return written.getvalue()


@pytest.mark.parametrize("kind", ["table", "csv", "value", "json", "yaml"])
def test_answers_of_commands(kind):
    text = answered(Machines, "-f", kind)
    assert clean(text, lines=True)
    if kind == "json":
        assert read_json(text)[0]["Name"] == DREADFUL
    elif kind == "yaml":
        assert plain(read_yaml(text))[0]["Name"] == DREADFUL
    elif kind == "csv":
        assert [row[0] for row in csv.reader(io.StringIO(text), escapechar="\\")] == [
            "Name",
            f"'{line(DREADFUL)}",
            "web",
        ]
    else:
        assert "\nfake row" not in text, "no row of its own"


def test_answers_that_a_shell_evaluates(tmp_path):
    text = answered(Machine, "-f", "shell")
    assert clean(text, lines=True)
    script = 'eval "$1"; printf %s "$name"'
    said = subprocess.run(["/bin/sh", "-c", script, "sh", text], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout == printable(DREADFUL)
    assert list(tmp_path.iterdir()) == [], "nothing of it has run"


@pytest.fixture
def vault(tmp_path):
    made = Vault.create(Directory(tmp_path / "vault"), None)
    with_point(made, tmp_path, name=ODD)
    return tmp_path / "vault"


@pytest.mark.long
def test_machines_of_a_vault_by_the_commands(vault, tmp_path):
    environment = {**os.environ, "LONGSHORE_STATE": str(tmp_path / "state"), "COLUMNS": "4000"}

    def run(*words):
        command = [sys.executable, "-c", "import sys; from longshore.cli.app import main; sys.exit(main())", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert clean(done.stdout + done.stderr, lines=True)
        return done.stdout

    run("provider", "add", "vault", "offsite", "--directory", str(vault))
    assert "\\x1b]0;title\\x07" in run("machine", "list", "offsite", "-f", "value")
    assert read_json(run("machine", "list", "offsite", "-f", "json"))[0]["Name"] == ODD
    (row,) = [one for one in run("machine", "list", "offsite").splitlines() if "fake row" in one]
    assert "title" in row


def test_machines_of_a_vault_where_longshore_is_not(vault):
    done = subprocess.run([sys.executable, str(vault / "restore.py")], capture_output=True, text=True)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert clean(done.stdout, lines=True)
    assert "\\x1b]0;title\\x07" in done.stdout


def test_sheets():
    written = io.StringIO()
    csv.writer(written).writerow([csv_cell(DREADFUL), csv_cell(-5), csv_cell(None), csv_cell("web")])
    (row,) = csv.reader(io.StringIO(written.getvalue()))
    assert row == [f"'{line(DREADFUL)}", "-5", "", "web"]
    assert clean(row[0])
    assert all(str(csv_cell(f"{mark}x")).startswith("'") for mark in "=+-@\t\r＝＋－＠")
    assert csv_cell("web; =cmd|'/C calc'!A0;b") == "web;' =cmd|'/C calc'!A0;b", "where semicolons part cells"


def test_documents():
    content = {"name": DREADFUL, "machines": [{DREADFUL: DREADFUL}, {"web": [DREADFUL]}]}
    assert plain(read_yaml(as_yaml(content))) == content
    assert read_json(as_json(content)) == content
    assert clean(as_yaml(content), lines=True)
    assert clean(as_json(content), lines=True)
    assert as_yaml({"name": "Müller"}) == "name: Müller\n"
    twice = ["web"]
    assert "&" not in as_yaml([twice, twice])


def test_files_of_tenants(tmp_path):
    from longshore.tenancy import yamlfile

    yamlfile.write(tmp_path / "networks.yml", {"name": DREADFUL})
    assert plain(yamlfile.read(tmp_path / "networks.yml", "networks.yml")) == {"name": DREADFUL}
    assert "\x1b" not in (tmp_path / "networks.yml").read_text()


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("inside", [False, True])
def test_pages(inside):
    template = environment(inside).from_string('<p title="{{ name }}">{{ name }}</p>')
    read = Tags(template.render(name=DREADFUL))
    assert (read.tags, read.attributes, read.text) == (["p"], [("title", DREADFUL)], DREADFUL)
    read = Tags(f'<p title="{html(DREADFUL)}">{html(DREADFUL)}</p>')
    assert (read.tags, read.text) == (["p"], line(DREADFUL))


def test_reports():
    said = markdown(DREADFUL)
    assert clean(said)
    bare = said.replace("\\\\", "")
    for mark in "`*[]<>|&~":
        assert all(bare[at - 1] == "\\" for at, letter in enumerate(bare) if letter == mark), mark


def test_headers():
    header = attachment(DREADFUL)["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 2000
    name = unquote(header.partition("''")[2])
    assert not set(name) & set("/\\")
    assert attachment("../..") == attachment("_..")
    assert attachment("..")["Content-Disposition"] == "attachment; filename*=UTF-8''file"
    assert attachment("shop.yaml")["Content-Disposition"] == "attachment; filename*=UTF-8''shop.yaml"


def test_mails():
    message = {"text": DREADFUL}
    server = MailServer("h", 25, "a@example.org", "b@example.org")
    mail = mail_of(server, Notice("1", "oncall", (message, message)))
    (written,) = (part.get_content() for part in mail.walk())
    assert clean(written, lines=True)
    assert len(written) < 2000
    subject = mail_of(server, Notice("1", "oncall", (message,)))["Subject"]
    assert clean(subject)
    assert len(subject) < 1000


def test_logs():
    say = f"import logging, structlog; logging.getLogger('longshore').error({DREADFUL!a})"
    as_records = f"import sys; from longshore.logs import write_json; write_json(sys.stderr); {say}"
    as_lines = f"from longshore.logs import write_lines; write_lines(); {say}"
    records, lines = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
        for script in (as_records, as_lines)
    )
    (record,) = records.splitlines()
    assert json.loads(record)["event"] == DREADFUL
    assert clean(lines, lines=True)
    assert "\\x1b]0;title" in lines


class Untagged(yaml.SafeLoader):
    pass


Untagged.add_constructor("!unsafe", lambda loader, node: ("unsafe", loader.construct_scalar(node)))


def test_what_ansible_is_told():
    """That nothing of it runs is shown by real playbooks: tests/flows/test_hooks.py."""
    told = yaml.load(ansible_variables({"longshore": {"name": DREADFUL, DREADFUL: [DREADFUL, 1]}}), Untagged)
    unsafe = ("unsafe", DREADFUL)
    assert told == {("unsafe", "longshore"): {("unsafe", "name"): unsafe, unsafe: [unsafe, 1]}}
    assert set(ansible_host(DREADFUL)) <= set("._-" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert [ansible_host(name) for name in ("localhost", "all", "", "vm-1")] == ["localhost_", "all_", "_", "vm-1"]
    assert ansible_address([DREADFUL, f"fe80::1%{DREADFUL}"]) is None
