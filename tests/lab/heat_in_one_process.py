"""usage: heat_in_one_process.py DIRECTORY PORT, with the log-in of an administrator in HEAT_LOGIN, as JSON.

Heat's engine and API in one process, over messages in memory and SQLite: for an environment of its own in which Heat
is. Says "ready" when it answers.
"""

import json
import os
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import backend

place, port, login = Path(sys.argv[1]), int(sys.argv[2]), json.loads(os.environ["HEAT_LOGIN"])
PASTE = """
[pipeline:heat-api]
pipeline = faultwrap versionnegotiation authurl authtoken context apiv1app
[app:apiv1app]
paste.app_factory = heat.common.wsgi:app_factory
heat.app_factory = heat.api.openstack.v1:API
[filter:versionnegotiation]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:version_negotiation_filter
[filter:faultwrap]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:faultwrap_filter
[filter:context]
paste.filter_factory = heat.common.context:ContextMiddleware_filter_factory
[filter:authurl]
paste.filter_factory = heat.common.auth_url:filter_factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
"""
USER = """
auth_type = password
auth_url = {auth_url}
username = {username}
password = {password}
user_domain_name = Default
"""
CONFIGURATION = """
[DEFAULT]
transport_url = fake:/
enable_stack_adopt = true
enable_stack_abandon = true
auth_encryption_key = 0123456789abcdef0123456789abcdef
num_engine_workers = 1
executor_thread_pool_size = 1
plugin_dirs =
environment_dir = {place}/environment.d
template_dir = {place}/templates
region_name_for_services = {region_name}
log_file = {place}/heat.log
[database]
connection = sqlite:///{place}/heat.sqlite?timeout=60
[keystone_authtoken]
www_authenticate_uri = {auth_url}
project_name = {project_name}
project_domain_name = Default
service_token_roles_required = true
{user}
[trustee]
{user}
[clients_keystone]
auth_uri = {auth_url}
[paste_deploy]
api_paste_config = {place}/api-paste.ini
"""


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    backend.init_backend(backend.BackendType.THREADING)  # before anything of Heat is read
    from heat.common import config, messaging
    from heat.db import migration
    from heat.engine import service, template
    from heat.rpc import api

    for name in ("environment.d", "templates"):
        (place / name).mkdir()
    (place / "api-paste.ini").write_text(PASTE)
    configuration = place / "heat.conf"
    configuration.write_text(CONFIGURATION.format(place=place, user=USER.format(**login), **login))
    logging.register_options(cfg.CONF)
    cfg.CONF(["--config-file", str(configuration)], project="heat", prog="heat")
    logging.setup(cfg.CONF, "heat")
    messaging.setup()
    migration.db_sync()
    template._get_template_extension_manager()
    service.EngineService("one", api.ENGINE_TOPIC).start()
    with make_server("127.0.0.1", port, config.load_paste_app("heat-api"), Threading, Quiet) as served:
        print("ready", flush=True)
        served.serve_forever()


main()
