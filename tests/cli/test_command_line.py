"""The command's own words: usage errors, exit codes, figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from in_process import longshore as command
from longshore.cli.arguments import rate
from longshore.cli.given_files import key_in
from longshore.model.durations import duration
from longshore.wording.figures import size


def longshore(tmp_path, *words, **environment):
    return subprocess.run(
        [Path(sys.executable).with_name("longshore"), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LONGSHORE_STATE": str(tmp_path / "state"), **environment},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["migrate", "web", "--from", "a", "--to", "b", "--network", "nonsense"], "isn't SOURCE=TARGET"),
        (["migrate", "web", "--from", "a", "--to", "b", "--rate-limit", "fast"], "isn't a rate"),
        (["migrate", "web", "--from", "a", "--to", "b", "--rate-limit", "0"], "isn't a rate"),
        (["migrate", "web"], "--from"),
        (["provider", "add", "hyperv", "x"], "is not a longshore command"),
    ],
)
def test_wrong_usage_is_told_and_exits_with_2(tmp_path, words, said):
    done = command(tmp_path / "state", *words)
    assert done.returncode == 2
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


# Refused before anything is asked of it
OVER_SSH = ["provider", "add", "vsphere", "vc", "--host", "127.0.0.1", "--username", "u", "--transport", "ssh"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["provider", "show", "nobody"], "There is no provider named nobody."),
        (["machine", "list", "nobody"], "There is no provider named nobody."),
        (["plan", "show", ""], 'Nothing is called "". Say its name or id.'),
        (["plan", "delete", ".."], 'Nothing is called "..". Say its name or id.'),
        (["migration", "show", "nobody"], "There is no migration or other job nobody."),
        (["migration", "show", "a?b"], "There is no migration or other job a?b."),
        (["migrate", "web", "--from", "a", "--to", "b"], "There is no provider named a."),
        (["provider", "add", "vsphere", "vc", "--host", "127.0.0.1", "--port", "9", "--username", "u"], "127.0.0.1:9"),
        (
            OVER_SSH,
            "keys of the ESXi hosts have to be known beforehand. Get them with `ssh-keyscan HOST > FILE`, compare",
        ),
        ([*OVER_SSH, "--ssh-host-key", __file__], "a key to log in to the ESXi hosts with is needed. Make one"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exits_with_1(tmp_path, words, said):
    done = command(tmp_path / "state", *words)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("longshore: ")
    assert said in line


OF_HOST = ["provider", "add", "vsphere", "vc", "--username", "u", "--host"]
FOR_ALL = ["backup", "policy", "create", "--name", "*"]


@pytest.mark.parametrize("name", ["", "my hold", "../up", "Büro", "x" * 101])
@pytest.mark.parametrize(
    "words",
    [
        ("backup", "hold", "a/b", "--vault", "offsite", "--name"),
        ("replica", "group", "create", "--member", "app01"),
        [*FOR_ALL, "--from", "vc", "--vault", "v", "--schedule", "every 1h", "--keep", "last=3"],
        ("provider", "add", "files", "--url", "/"),
    ],
)
def test_how_a_new_name_is_written_is_said_wherever_one_is_given(tmp_path, words, name):
    done = command(tmp_path / "state", *words, name)
    said = "A name has a to z, 0 to 9, dots, dashes and underscores, 100 at most, and begins with a letter or digit."
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"longshore: {said}\n")


def test_what_else_a_field_takes_is_said_in_plain_words(tmp_path):
    (tmp_path / "address").write_text("https://example.org/hook")
    mail = ("channel", "create", "team", "--kind", "mail", "--host", "smtp.example.org", "--from", "a@b.org")
    done = command(tmp_path / "state", *mail, "--to", "the team")
    assert (done.returncode, done.stderr) == (1, "longshore: mail.to: write it as ann@example.org.\n")


def test_a_mistyped_name_is_told_with_the_one_that_was_meant(tmp_path):
    (tmp_path / "images").mkdir()
    assert (
        command(tmp_path / "state", "provider", "add", "files", "exports", "--url", str(tmp_path / "images")).stderr
        == ""
    )
    done = command(tmp_path / "state", "machine", "list", "export")
    said = "There is no provider named export. Did you mean exports? See: longshore provider list."
    assert (done.returncode, done.stderr) == (1, f"longshore: {said}\n")


@pytest.mark.parametrize("host", ["vc..example", ".vc", f"{'x' * 64}.example"])
def test_a_host_that_no_name_server_can_know_is_told(tmp_path, monkeypatch, host):
    done = command(tmp_path / "state", *OF_HOST, host)
    said = f"longshore: The name {host} can't be resolved. Check the spelling and the DNS server.\n"
    assert (done.returncode, done.stderr) == (1, said)
    auth = f"{{auth_url: 'https://{host}/v3', username: u, password: p, project_name: x, user_domain_id: default}}"
    (tmp_path / "clouds.yaml").write_text(f"clouds: {{cloud: {{auth: {auth}}}}}")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    done = command(tmp_path / "state", "provider", "add", "openstack", "cloud", "--os-cloud", "cloud")
    assert done.returncode == 1
    assert done.stderr.startswith(f"longshore: https://{host} didn't answer while trying to log in: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_is_no_state_directory(tmp_path):
    (tmp_path / "state").write_text("")
    done = command(tmp_path / "state", "provider", "list")
    said = f"The state directory {tmp_path / 'state'} can't be made: File exists. Name another one: --state DIR."
    assert (done.returncode, done.stderr) == (1, f"longshore: {said}\n")


def test_a_time_that_no_calendar_has_in_utc_is_wrong_usage(tmp_path):
    done = command(tmp_path / "state", "migration", "cutover", "1f6e", "--at", "0001-01-01T00:00:00+14:00")
    assert done.returncode == 2
    assert "isn't a time such as" in done.stderr


def test_a_rate_is_written_as_a_size_is():
    said = [rate(text) for text in ("500", "800K", "50m", "1.5G", "2MiB")]
    assert said == [500, 800 << 10, 50 << 20, 3 << 29, 2 << 20]


@pytest.mark.parametrize("content", ["open sesame", "open sesame\n", "open sesame\r\n"])
def test_the_end_of_a_line_is_no_part_of_a_key(tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content.encode())
    assert key_in(file) == "open sesame"


@pytest.mark.long
def test_a_process_of_its_own_ends_with_the_same_codes(tmp_path):
    assert longshore(tmp_path, "migrate", "web").returncode == 2
    done = longshore(tmp_path, "provider", "show", "nobody")
    assert done.returncode == 1
    assert "There is no provider named nobody." in done.stderr


def test_an_empty_password_and_none_at_all_are_refused(tmp_path):
    add = ["provider", "add", "vsphere", "vc", "--host", "127.0.0.1", "--username", "u", "--fingerprint", "AB" * 32]
    assert "No password was given" in longshore(tmp_path, *add).stderr
    assert "is empty" in longshore(tmp_path, *add, LONGSHORE_PASSWORD="").stderr


def test_lists_are_empty_at_first_and_json_for_scripts(tmp_path):
    done = longshore(tmp_path, "provider", "list", "-f", "json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_figures_read_well():
    assert [size(n) for n in (0, 1023, 1536, 3 << 30)] == ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]
    assert [duration(n) for n in (0.4, 59, 185, 7800, 273_600)] == ["0 s", "59 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"]
    assert [duration(n) for n in (60, 900, 3605, 604_800)] == ["1 min", "15 min", "1 h", "7 d"]


@pytest.mark.parametrize("words", ["help migrate", "provider list -f json"])
def test_a_reader_that_has_had_enough_is_told_nothing(tmp_path, words):
    command = f"'{Path(sys.executable).with_name('longshore')}' --state '{tmp_path}/state' {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_ctrl_c_while_it_only_gets_ready_ends_it_without_a_word():
    """Whatever is being imported then: here the frame of all commands, at its first line."""
    interrupted = "import os, signal, sys, threading; from longshore.cli import app\n"
    # Whoever started the tests in the background has it ignored, and so would the command
    interrupted += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    interrupted += "class Finder:\n def find_spec(self, name, *_):\n"
    interrupted += "  if name == 'cliff.app': os.kill(os.getpid(), signal.SIGINT)\n"
    interrupted += "sys.meta_path.insert(0, Finder()); sys.exit(app.main(['provider', 'list']))"
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
