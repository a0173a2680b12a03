"""All of Longshore on a bare Debian 12, by what README.md and docs/howto/install.md have root type in a clone.

Takes Debian's packages from this machine's mirrors, Python's from its index, and its converter.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from packaged import ROOT, as_root, root, typed

pytestmark = [*as_root(5400), pytest.mark.soak]
# What is said where nobody's cloud is
SAID = {
    "longshore provider add vsphere": (1, "The name vcenter.example.com can't be resolved."),
    "longshore provider add openstack": (1, "There is no cloud production in clouds.yaml."),
    "longshore machine list": (1, "There is no provider named vc."),
    "longshore migrate": (1, "There is no provider named vc."),
}
INSIDE = """
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mkdir -p "$1/var/lib/longshore-converter"
mount --bind /var/lib/longshore-converter "$1/var/lib/longshore-converter"
cp /etc/resolv.conf "$1/etc/resolv.conf"
cd "$1"
mkdir -p mnt
pivot_root . mnt
exec chroot . sh -c 'umount -l /mnt; cd /longshore; exec bash'
"""


@pytest.fixture
def machine(tmp_path):
    """Yield a function that types commands into a shell of root's on a bare Debian, in a clone."""
    for name in ("root", "upper", "work"):
        (tmp_path / name).mkdir()
    layers = f"lowerdir={root('bare')},upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    at = tmp_path / "root"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, at], check=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, at / "longshore"], check=True)
    # Which index this machine asks, and whom it trusts: under a name that Debian's ca-certificates doesn't write anew
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", at / "etc/pip.conf")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", at / "etc/trusted.pem")
    known = {name: value for name, value in os.environ.items() if re.match("PIP_|UV_|.*proxy", name, re.IGNORECASE)}
    variables = {
        **known,
        "PIP_CERT": "/etc/trusted.pem",
        "SSL_CERT_FILE": "/etc/trusted.pem",
        "HOME": "/root",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }

    def type_in(lines):
        """Return the exit status of each, and what it said."""
        shell = "".join(f"echo '@@@'\n{line} </dev/null\necho \"@$?\"\n" for line in lines)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-ec", INSIDE, "sh", at]
        done = subprocess.run(
            command, input=shell, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        answers = [part.rpartition("@") for part in done.stdout.split("@@@\n")[1:]]
        assert len(answers) == len(lines), done.stdout
        return [(int(status), said.strip()) for said, _, status in answers]

    yield type_in
    subprocess.run(["umount", at], check=True)


def readme():
    """Return the commands of README.md's section on one's own clouds, each in one line."""
    part = (ROOT / "README.md").read_text().partition("\n## On your own clouds\n")[2]
    (block, *_) = re.findall(r"^```console\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return re.findall(r"^# (.*)$", block.replace("\\\n", ""), re.MULTILINE)


def test_what_the_documents_have_root_type_works(machine):
    (install,) = typed("All of it")
    (first, *others) = readme()
    # A shell expands these itself, and a line of several commands is one here
    lines = [*install, f"{{ {first}; }}", "longshore --version", "longshore check guests", *others]
    answers = dict(zip(lines, machine(lines), strict=True))
    print(answers)
    for line, (status, said) in answers.items():
        wanted, words = next((what for start, what in SAID.items() if line.startswith(start)), (0, ""))
        assert status == wanted, (line, said)
        assert words in said, line
    assert answers["longshore --version"][1] == "longshore 0.1.0"
