"""A real Octavia in the lab, for as long as a test needs one.

Its API, its database and its worker are Debian's; what the worker would make for each load balancer (a server, a port,
a configured HAProxy) is left to the drivers that Octavia brings for that: they do nothing and say it is done.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

URL = "http://127.0.0.1:9876"
ROLE = "load-balancer_member"  # what Octavia's own policy asks of those who use it

CONFIGURATION = """\
[DEFAULT]
transport_url = rabbit://openstack:{rabbit}@127.0.0.1:5672/

[api_settings]
bind_host = 127.0.0.1
bind_port = 9876
enabled_provider_drivers = amphora:The one that makes servers
default_provider_driver = amphora
allow_prometheus_listeners = false

[database]
connection = mysql+pymysql://octavia:{own}@127.0.0.1:3306/octavia?charset=utf8

[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:5000/v3
{login}

[service_auth]
{login}

[oslo_messaging]
topic = octavia_prov

[driver_agent]
status_socket_path = {run}/status.sock
stats_socket_path = {run}/stats.sock
get_socket_path = {run}/get.sock

[certificates]
cert_generator = local_cert_generator
cert_manager = local_cert_manager
ca_certificate = {run}/ca.pem
ca_private_key = {run}/ca.key
server_certs_key_passphrase = {passphrase}

[haproxy_amphora]
client_cert = {run}/ca.pem
server_ca = {run}/ca.pem

[health_manager]
heartbeat_key = {own}

[controller_worker]
workers = 1
amp_boot_network_list = 00000000-0000-0000-0000-000000000001
amp_image_tag = amphora
client_ca = {run}/ca.pem
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
image_driver = image_noop_driver
volume_driver = volume_noop_driver
loadbalancer_topology = SINGLE
"""
LOGIN = """\
auth_type = password
auth_url = http://127.0.0.1:5000/v3
user_domain_name = Default
project_domain_name = Default
project_name = service
region_name = RegionOne
username = octavia
password = {own}"""


@contextmanager
def octavia(lab, admin):
    """Its API answers at `URL`, and Keystone's catalogue has it, while the context is open."""
    assert Path("/usr/bin/octavia-api").exists(), "./install brings it"
    run = lab.root / "run" / "octavia"
    run.mkdir(mode=0o700)
    own = secrets.token_hex(16)
    with ExitStack() as undone:
        undone.callback(subprocess.run, ["rm", "-rf", str(run)], check=True)
        configuration = _configuration(lab, run, own)
        _sql(lab, f"CREATE DATABASE octavia; CREATE USER 'octavia'@'127.0.0.1' IDENTIFIED BY '{own}';")
        undone.callback(_sql, lab, "DROP DATABASE octavia; DROP USER 'octavia'@'127.0.0.1';")
        _sql(lab, "GRANT ALL ON octavia.* TO 'octavia'@'127.0.0.1';")
        _begin("octavia-db-manage", configuration, lab, "upgrade", "head").wait(timeout=180)
        _register(admin, own, undone)
        for name in ("octavia-worker", "octavia-api"):
            daemon = _begin(name, configuration, lab)
            undone.callback(_end, daemon)
        _answers(lab)
        yield


def _configuration(lab, run, own):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab",
         "-keyout", run / "ca.key", "-out", run / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    passwords = json.loads((lab.root / "etc" / "passwords.json").read_text())
    file = run / "octavia.conf"
    login = LOGIN.format(own=own)
    text = CONFIGURATION.format(
        rabbit=passwords["rabbit"], own=own, login=login, run=run, passphrase=secrets.token_hex(16)
    )
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as opened:
        opened.write(text)
    return file


def _sql(lab, statements):
    command = ["mariadb", "--no-defaults", "-uroot", "-S", str(lab.root / "run" / "mysql.sock")]
    subprocess.run(command, input=statements, text=True, check=True, capture_output=True)


def _register(admin, own, undone):
    identity = admin.identity
    project = identity.find_project("service")
    user = identity.create_user(name="octavia", domain_id="default", password=own)
    undone.callback(identity.delete_user, user)
    for role in ("admin", "service"):
        identity.assign_project_role_to_user(project, user, identity.find_role(role))
    role = identity.create_role(name=ROLE)
    undone.callback(identity.delete_role, role)
    service = identity.create_service(name="octavia", type="load-balancer")
    undone.callback(identity.delete_service, service)  # with its endpoint
    identity.create_endpoint(service_id=service.id, interface="public", url=URL, region_id="RegionOne")


def _begin(name, configuration, lab, *words):
    """Begin a program with Debian's Python, not the tests' own."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(configuration.parent), "LANG": "C.UTF-8"}
    with (lab.root / "log" / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [f"/usr/bin/{name}", "--config-file", str(configuration), *words],
            stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip


def _end(daemon):
    os.killpg(daemon.pid, signal.SIGTERM)
    try:
        daemon.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def _answers(lab):
    end = time.monotonic() + 120
    while True:
        try:
            if httpx.get(URL).status_code == 200:
                return
        except httpx.TransportError:
            pass
        last = (lab.root / "log" / "octavia-api.log").read_text()[-2000:]
        assert time.monotonic() < end, f"octavia-api doesn't answer: {last}"
        time.sleep(0.3)
