"""Horizon as Debian's package has it, with this clone's plugin, by the system's Python and without being installed
anywhere. Says its address as a line, and serves until its standard input ends."""

import os
import sys
import threading
from pathlib import Path

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from openstack_dashboard.local import enabled

HERE = Path(__file__).parent
PLUGIN = HERE.parents[2] / "horizon"


class Quiet(WSGIRequestHandler):
    def log_message(self, *said):
        pass


def main():
    sys.path[:0] = [str(HERE), str(PLUGIN)]  # its settings are those of `local`
    os.environ["DJANGO_SETTINGS_MODULE"] = "openstack_dashboard.settings"
    enabled.__path__.append(str(PLUGIN / "longshore_dashboard" / "enabled"))
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
