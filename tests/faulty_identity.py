"""A Keystone and a Barbican on a port, for the faults that real ones can't be told to have. Both say too little to be
used for anything else. Of Barbican as its API is described: https://docs.openstack.org/barbican/latest/api/."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class FaultyIdentity:
    """`faults`: by method and last fixed part of the path ("POST secrets"), a status to answer with, a list of those of
    the next answers, or "lost": it is done, and the connection is cut before the answer."""

    def __init__(self, url):
        self.url = url
        self.key_manager = True  # in the catalogue
        self.credentials, self.secrets = {}, {}
        self.tokens = {}  # others', by when they end, that it is asked to judge
        self.projects = {}  # names by their ids
        self.judged = 0  # times that it was
        self.faults = {}
        self._made = 0

    def answer(self, method, path, query, body, headers):
        """Status and body of what has been done."""
        subject = headers.get("X-Subject-Token")
        parts = path.strip("/").split("/")
        if path.endswith("/auth/tokens") and method == "GET":
            self.judged += 1
            return self._judge(subject)
        if path.endswith("/auth/tokens"):
            endpoint = {"interface": "internal", "region": "R", "region_id": "R", "id": "e"}
            offered = {"identity": f"{self.url}/v3"} | ({"key-manager": self.url} if self.key_manager else {})
            services = [
                {"type": one, "name": one, "id": one, "endpoints": [{**endpoint, "url": url}]}
                for one, url in offered.items()
            ]
            token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "user": {"id": "u"}}
            token["project"] = {"id": "p", "name": "backups"}
            return 201, {"token": {**token, "catalog": services}}
        if parts[:2] == ["v3", "projects"]:
            wanted = parts[2] if len(parts) > 2 else query["name"][0]
            if len(parts) > 2:
                there = {"project": {"id": wanted, "name": self.projects.get(wanted)}}
                return (200, there) if wanted in self.projects else (404, {"error": {"message": "No.", "code": 404}})
            return 200, {"projects": [{"id": i, "name": name} for i, name in self.projects.items() if name == wanted]}
        kind = "application_credentials" if "application_credentials" in parts else "secrets"
        if kind not in parts and not path.startswith("/v3"):
            links = [{"rel": "self", "href": f"{self.url}/v1/"}]
            return 200, {"versions": {"values": [{"id": "v1", "status": "stable", "links": links}]}}
        if kind not in parts:
            return 200, {
                "version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{self.url}/v3/"}]}
            }
        if kind == "secrets" and (refused := self._refused(method, parts, body, headers)):
            return refused
        kept = self.credentials if kind == "application_credentials" else self.secrets
        id_ = parts[parts.index(kind) + 1] if len(parts) > parts.index(kind) + 1 else None
        if method == "POST":
            self._made += 1
            id_ = f"00000000-0000-4000-8000-{self._made:012}"
            kept[id_] = body.get("application_credential", body)
            if kind == "secrets":
                return 201, {"secret_ref": f"{self.url}/v1/secrets/{id_}"}
            return 201, {"application_credential": {"id": id_, "secret": "s", **kept[id_]}}
        if id_ is None:
            found = [i for i, one in kept.items() if query.get("name") in (None, [one["name"]])]
            if kind == "secrets":
                refs = [{**self._shown(i), "secret_ref": f"{self.url}/v1/secrets/{i}"} for i in found]
                return 200, {"secrets": refs, "total": len(refs)}
            return 200, {"application_credentials": [{"id": i, "name": kept[i]["name"]} for i in found]}
        if id_ in kept and parts[-1] == "acl":
            kept[id_]["acl"] = body
            return 200, {"acl_ref": f"{self.url}/v1/secrets/{id_}/acl"}
        if id_ not in kept:
            return 404, {"title": "Not Found", "description": "It isn't there."}
        if method == "DELETE":
            del kept[id_]
            return 204, None
        return 200, self.opened(id_) if path.endswith("payload") else self._shown(id_)

    def _refused(self, method, parts, body, headers):
        """Return what Barbican says to those who don't ask as its API wants to be asked; None to others."""
        if headers.get("X-Auth-Token") != "t":
            return 401, {"code": 401, "title": "Unauthorized", "description": "Authentication required"}
        if method == "POST":
            coded = body["payload_content_type"] == "application/octet-stream"
            if coded != (body.get("payload_content_encoding") == "base64"):
                return 400, {"code": 400, "title": "Bad Request", "description": "payload_content_encoding"}
        kept = self.secrets.get(parts[-2]) if parts[-1] == "payload" else None
        if kept and headers.get("Accept") != kept["payload_content_type"]:
            return 406, {"code": 406, "title": "Not Acceptable", "description": "Wrong payload content-type"}
        return None

    def opened(self, id_):
        """Return a secret in clear."""
        kept = self.secrets[id_]
        coded = kept.get("payload_content_encoding") == "base64"
        return base64.b64decode(kept["payload"]).decode() if coded else kept["payload"]

    def _judge(self, subject):
        if subject not in self.tokens:
            return 404, {"error": {"message": "Not here.", "code": 404}}
        domain = {"id": "default", "name": "Default"}
        named = {kind: {"id": f"{kind}-of-{subject}", "name": kind, "domain": domain} for kind in ("user", "project")}
        roles = [{"id": "r", "name": "member"}]
        times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": self.tokens[subject]}
        return 200, {"token": {**named, **times, "methods": ["password"], "roles": roles, "catalog": []}}

    def _shown(self, id_):
        kept = self.secrets[id_]
        types = {"default": kept["payload_content_type"]}
        return {"name": kept["name"], "status": "ACTIVE", "secret_type": "passphrase", "content_types": types}


@contextmanager
def faulty_identity():
    class Handler(BaseHTTPRequestHandler):
        def do(self):
            asked = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            kind = next((p for p in reversed(asked.path.split("/")) if p in ("application_credentials", "secrets")), "")
            fault = identity.faults.get(f"{self.command} {kind}")
            if isinstance(fault, list):
                fault = fault.pop(0) if fault else None
            if isinstance(fault, int):
                said = {
                    "error": {"message": "Not here.", "code": fault},
                    "title": "Refused",
                    "description": "Not here.",
                }
                return self._say(fault, said)
            status, answer = identity.answer(self.command, asked.path, parse_qs(asked.query), body, self.headers)
            if fault == "lost":
                return self.connection.close()
            self._say(status, answer)

        def _say(self, status, answer):
            text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode() if answer else b""
            self.send_response(status)
            self.send_header("X-Subject-Token", "t")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = do

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    identity = FaultyIdentity(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield identity
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
