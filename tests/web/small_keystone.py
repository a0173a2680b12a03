"""A Keystone on a port, with a few users and projects: what logging in needs of one, and the middleware's questions."""

import json
import re
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

DOMAIN = {"id": "default", "name": "Default"}
ROLES = {"reader": ["reader"], "member": ["member", "reader"], "admin": ["admin", "manager", "member", "reader"]}


FEDERATION = re.compile(
    r"/v3/auth/OS-FEDERATION/(?:websso/(?P<protocol>[^/]+)|identity_providers/(?P<idp>[^/]+)/protocols/(?P<of>[^/]+)/websso)"
)
WEBSSO = """<!doctype html><title>Keystone</title><form id="sso" method="post" action="{origin}">
<input type="hidden" name="token" value="{token}"><noscript><input type="submit" value="Continue"></noscript></form>
<script>window.onload = () => document.forms["sso"].submit()</script>"""


class SmallKeystone:
    def __init__(self, url):
        self.url = url
        self.users = {  # password, and the role in each project
            "longshore": ("service", {"service": "admin"}),
            "ann": ("ann's secret", {"red": "member", "blue": "member"}),
            "rita": ("rita's secret", {"red": "reader"}),
            "bob": ("bob's secret", {"blue": "member"}),
            "root": ("root's secret", {"ops": "admin"}),
            "nina": ("nina's secret", {}),
            "olga": ("olga's secret", {"red": "observer"}),
        }
        self.credentials = {"cred-1": ("credential's secret", "ann", "red")}
        self.tokens = {}  # user, project, end
        self.logins = 0  # of people with a password that were tried
        self.second_factor = {}  # of whom more is asked: the passcode
        self.required = [["password", "totp"]]
        self.receipts = {}  # whose password was right
        self.away = False
        self.tells_who_is_where = True  # to the server's user
        self.query = {}  # of the question that is answered
        self.migration = {}  # where the catalogue says that the service is: by project
        self.lives = timedelta(hours=1)
        self.federated = {"openid": "ann", "corp/saml2": "rita"}  # who the identity provider says it is: by the way
        self.trusted = set()  # addresses that tokens are sent to

    def issue(self, user, project=None, ends=None):
        token = uuid.uuid4().hex
        self.tokens[token] = (user, project, ends or datetime.now(UTC) + self.lives)
        return token

    def answer(self, method, path, auth, subject, receipt, body):
        """Answer with status, headers and body."""
        if self.away:
            return 503, {}, {"error": {"message": "Away.", "code": 503}}
        if path in ("/v3", "/v3/"):
            links = [{"rel": "self", "href": f"{self.url}/v3/"}]
            return 200, {}, {"version": {"id": "v3.14", "status": "stable", "links": links}}
        if path == "/v3/auth/tokens" and method == "POST":
            return self._log_in(body["auth"], receipt)
        if not self._lives(auth):
            return 401, {}, {"error": {"message": "The request you have made requires authentication.", "code": 401}}
        if path == "/v3/auth/projects":
            user = self.tokens[auth][0]
            return 200, {}, {"projects": [{"id": f"id-{p}", "name": p} for p in self.users[user][1]]}
        if path.startswith("/v3/users/") and path.endswith("/projects"):
            user = self.tokens[auth][0]
            found = [{"id": f"id-{p}", "name": p, "enabled": True, "domain_id": "default"} for p in self.users[user][1]]
            return 200, {}, {"projects": found, "links": {"next": None, "previous": None, "self": ""}}
        if path.endswith("/application_credentials") and method == "POST":
            user, project, _ends = self.tokens[auth]
            self.credentials["made"] = ("its secret", user, project)
            return 201, {}, {"application_credential": {"id": "made", "secret": "its secret"}}
        if path.startswith("/v3/users/") and self.tells_who_is_where:
            if path.removeprefix("/v3/users/id-") not in self.users:
                return 404, {}, {"error": {"message": "Could not find user.", "code": 404}}
            return 200, {}, {"user": {"enabled": True}}
        if path == "/v3/role_assignments" and self.tells_who_is_where:
            user, project = (self.query[name].removeprefix("id-") for name in ("user.id", "scope.project.id"))
            return 200, {}, {"role_assignments": [{}] if project in self.users[user][1] else []}
        if path.startswith(("/v3/users/", "/v3/role_assignments")):
            return 403, {}, {"error": {"message": "You are not authorized.", "code": 403}}
        if path == "/v3/auth/tokens" and not self._lives(subject):
            return 404, {}, {"error": {"message": "Could not find token.", "code": 404}}
        if path == "/v3/auth/tokens" and method == "DELETE":
            del self.tokens[subject]
            return 204, {}, None
        if path == "/v3/auth/tokens":
            return 200, {"X-Subject-Token": subject}, self._shown(subject)
        return 404, {}, {"error": {"message": "Not here.", "code": 404}}

    def websso(self, way, origin):
        """Answer with status and page: as Keystone's, a form that sends itself."""
        if way not in self.federated or origin not in self.trusted:
            return 401, f"{origin} is not a trusted dashboard host"
        return 200, WEBSSO.format(origin=origin, token=self.issue(self.federated[way]))

    def _lives(self, token):
        return token in self.tokens and self.tokens[token][2] > datetime.now(UTC)

    def _log_in(self, auth, receipt):
        refused = 401, {}, {"error": {"message": "The request you have made requires authentication.", "code": 401}}
        identity = auth["identity"]
        (how,) = identity["methods"]
        scope, ends = auth.get("scope"), None
        if how == "password":
            said = identity["password"]["user"]
            user = said.get("name")
            self.logins += user != "longshore"
            right = user in self.users and said.get("domain", {}).get("name") == "Default"
            if not right or said["password"] != self.users[user][0]:
                return refused
            if user in self.second_factor:
                made = uuid.uuid4().hex
                self.receipts[made] = user
                return (
                    401,
                    {"Openstack-Auth-Receipt": made},
                    {
                        "receipt": {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z"},
                        "required_auth_methods": self.required,
                    },
                )
        elif how == "totp":
            said = identity["totp"]["user"]
            user = said["name"]
            self.logins += 1
            if self.receipts.get(receipt) != user or said["passcode"] != self.second_factor[user]:
                return refused
        elif how == "token":
            if not self._lives(identity["token"]["id"]):
                return refused
            user, of, ends = self.tokens[identity["token"]["id"]]
            if of is not None:
                return 403, {}, {"error": {"message": "Rescoping is off.", "code": 403}}
        else:
            said = identity["application_credential"]
            if said["id"] not in self.credentials:
                return 404, {}, {"error": {"message": "Could not find it.", "code": 404}}
            secret, user, project = self.credentials[said["id"]]
            if said["secret"] != secret:
                return refused
            token = self.issue(user, project)
            return 201, {"X-Subject-Token": token}, self._shown(token)
        project = None
        if isinstance(scope, dict):
            if "project" not in scope:  # nobody has a role in a domain
                return refused
            named = scope["project"]
            project = named.get("name") or named["id"].removeprefix("id-")
            if project not in self.users[user][1]:
                return refused
        token = self.issue(user, project, ends)
        return 201, {"X-Subject-Token": token}, self._shown(token)

    def _shown(self, token):
        user, project, ends = self.tokens[token]
        said = {
            "methods": ["password"],
            "user": {"id": f"id-{user}", "name": user, "domain": DOMAIN},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": f"{ends.replace(tzinfo=None).isoformat()}Z",
        }
        if project is not None:
            roles = ROLES.get(self.users[user][1][project], ["load-balancer_observer"])
            services = {"identity": f"{self.url}/v3"}
            if project in self.migration:
                services["migration"] = self.migration[project]
            said |= {
                "project": {"id": f"id-{project}", "name": project, "domain": DOMAIN},
                "roles": [{"id": role, "name": role} for role in roles],
                "catalog": [
                    {"type": type_, "name": type_, "id": type_, "endpoints": _endpoints(url)}
                    for type_, url in services.items()
                ],
            }
        return {"token": said}


def _endpoints(url):
    return [
        {"interface": interface, "region": "R", "region_id": "R", "id": interface, "url": url}
        for interface in ("public", "internal")
    ]


@contextmanager
def small_keystone():
    class Handler(BaseHTTPRequestHandler):
        def do(self):
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            told = [self.headers.get(name) for name in ("X-Auth-Token", "X-Subject-Token", "Openstack-Auth-Receipt")]
            said = urlsplit(self.path)
            if of := FEDERATION.fullmatch(said.path):
                way = of["protocol"] or f"{of['idp']}/{of['of']}"
                status, page = keystone.websso(way, dict(parse_qsl(said.query)).get("origin"))
                headers, text = {"Content-Type": "text/html"}, page.encode()
            else:
                keystone.query = dict(parse_qsl(said.query))
                status, headers, answer = keystone.answer(self.command, said.path, *told, body)
                text = json.dumps(answer).encode() if answer else b""
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    keystone = SmallKeystone(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield keystone
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
