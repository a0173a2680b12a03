"""A Keystone, as far as a server asks one: node_keystone.py ADDRESS PORT. It calls each token tok-NAME valid."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL = f"http://{sys.argv[1]}:{sys.argv[2]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.endswith("/auth/tokens"):
            subject = self.headers.get("X-Subject-Token", "")
            if not subject.startswith("tok-"):
                return self.say(404, {"error": {"message": "Not here.", "code": 404}})
            domain = {"id": "default", "name": "Default"}
            named = {kind: {"id": f"{kind}-{subject}", "name": kind, "domain": domain} for kind in ("user", "project")}
            roles = [{"id": name, "name": name} for name in ("member", "reader", "admin")]
            times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2099-01-01T00:00:00.000000Z"}
            return self.say(200, {"token": {**named, **times, "methods": ["password"], "roles": roles, "catalog": []}})
        links = [{"rel": "self", "href": f"{URL}/v3/"}]
        version = {"id": "v3.14", "status": "stable", "links": links}
        if self.path.rstrip("/").endswith("/v3"):
            return self.say(200, {"version": version})
        self.say(300, {"versions": {"values": [version]}})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endpoint = {"interface": "internal", "region": "R", "region_id": "R", "id": "e", "url": f"{URL}/v3"}
        catalog = [{"type": "identity", "name": "identity", "id": "i", "endpoints": [endpoint]}]
        token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "user": {"id": "u"}}
        self.say(201, {"token": {**token, "project": {"id": "p", "name": "service"}, "catalog": catalog}})

    def say(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", "t")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
