"""A Keystone, as far as a server and an administrator ask one: node_keystone.py ADDRESS PORT [URL CERTIFICATE KEY].

It calls each token tok-NAME valid, and gives tok-NAME to whoever logs in as NAME. With a certificate it is https, and
URL is what its catalogue says.
"""

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS, PORT, *MORE = sys.argv[1:]
URL = MORE[0] if MORE else f"http://{ADDRESS}:{PORT}"
OF_SERVICE = [{"id": "identity", "type": "identity", "name": "identity"}]
OF_ENDPOINT = [
    {"id": name, "service_id": "identity", "interface": name, "url": f"{URL}/v3", "region_id": "R"}
    for name in ("public", "internal")
]
REGISTERED = {"services": OF_SERVICE, "endpoints": OF_ENDPOINT}


def catalogue():
    def endpoints(service):
        return [{**one, "region": one["region_id"]} for one in OF_ENDPOINT if one["service_id"] == service["id"]]

    return [{**service, "endpoints": endpoints(service)} for service in OF_SERVICE]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.endswith("/auth/tokens"):
            subject = self.headers.get("X-Subject-Token", "")
            if not subject.startswith("tok-"):
                return self.say(404, {"error": {"message": "Not here.", "code": 404}})
            domain = {"id": "default", "name": "Default"}
            named = {kind: {"id": f"{kind}-{subject}", "name": kind, "domain": domain} for kind in ("user", "project")}
            roles = [{"id": name, "name": name} for name in ("member", "reader", "admin")]
            times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2099-01-01T00:00:00.000000Z"}
            return self.say(200, {"token": {**named, **times, "methods": ["password"], "roles": roles, "catalog": []}})
        if (kind := path.rpartition("/")[2]) in REGISTERED:
            wanted = dict(part.split("=") for part in query.split("&") if part)
            found = [one for one in REGISTERED[kind] if wanted.items() <= one.items()]
            return self.say(200, {kind: found, "links": {"next": None}})
        links = [{"rel": "self", "href": f"{URL}/v3/"}]
        version = {"id": "v3.14", "status": "stable", "links": links}
        if path.rstrip("/").endswith("/v3"):
            return self.say(200, {"version": version})
        self.say(300, {"versions": {"values": [version]}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if (kind := self.path.rpartition("/")[2]) in REGISTERED:
            made = {**body[kind[:-1]], "id": f"{kind}{len(REGISTERED[kind])}"}
            REGISTERED[kind].append(made)
            return self.say(201, {kind[:-1]: made})
        user = body["auth"]["identity"]["password"]["user"]["name"]
        token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "user": {"id": "u"}}
        said = {**token, "project": {"id": "p", "name": "service"}, "catalog": catalogue()}
        self.say(201, {"token": said}, {"X-Subject-Token": f"tok-{user}"})

    def say(self, status, body, headers=None):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer((ADDRESS, int(PORT)), Handler)
if MORE:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*MORE[1:])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
