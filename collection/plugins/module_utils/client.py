# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

"""One way to ask, whoever answers: a server on the network, or Longshore on this host."""

from __future__ import annotations

import json
import os
import subprocess
import time
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.urls import open_url

BUSY_TRIES = 12
UNREACHABLE = "unreachable"
AWAY = (UNREACHABLE, "identity-unavailable")  # codes: nobody answers, or its database doesn't; Keystone doesn't
LONGEST = 600  # seconds for which what only reads is asked again
PAUSE = 2  # seconds between two tries


class Refused(Exception):
    """The service's own sentence, which has its advice in it already, and its code."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class Api:
    """Answers plain data, or raises Refused. `ask` takes method, path and body, and returns status and text.

    Whoever waits for hours outlives a server that is away for a moment: once it has answered, what only reads is asked
    again until it does.
    """

    def __init__(self, ask):
        self._ask = ask
        self._has_answered = False

    def __call__(self, method, path, body=None):
        until = time.monotonic() + LONGEST
        while True:
            try:
                answer = self._once(method, path, body)
            except Refused as refused:
                again = method == "GET" and refused.code in AWAY and self._has_answered
                if not again or time.monotonic() > until:
                    raise
                time.sleep(PAUSE)
            else:
                self._has_answered = True
                return answer

    def _once(self, method, path, body):
        status, content = self._ask(method, path, body)
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            raise Refused(status, UNREACHABLE, "No Longshore server answers there (HTTP status %s)." % status) from None
        if status >= 400:
            said = answer if isinstance(answer, dict) else {}
            raise Refused(status, said.get("code"), said.get("message") or "HTTP status %s" % status)
        return answer

    def found(self, path):
        """Return what is there; None where there is nothing."""
        try:
            return self("GET", path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def all(self, path, marker, page=1000, **asked):
        """Return a list whose pages are asked for one after the other."""
        found = []
        while True:
            more = {"marker": found[-1][marker]} if found else {}
            said = self("GET", "%s?%s" % (path, urlencode(dict(asked, limit=page, **more), doseq=True)))
            found.extend(said)
            if len(said) < page:
                return found


def part(name):
    return quote(name, safe="")


def api(params, fail):
    """Return what asks Longshore as these options say. `fail` is called with msg when that can't be done so."""
    url = params["url"] or os.environ.get("LONGSHORE_URL")
    if not url:
        return Api(_by_command(params, fail))
    if params["auth"] and url != "catalog" and params["auth_type"] in (None, "password", "v3applicationcredential"):
        return Api(_by_urls(params, url, fail))
    return Api(_by_keystoneauth(params, url, fail))


def identity(auth):
    """Return what Keystone is asked for a token with: by password or application credential."""
    if "application_credential_id" in auth:
        said = {"id": auth["application_credential_id"], "secret": auth["application_credential_secret"]}
        return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": said}}}
    user = {
        "name": auth["username"],
        "password": auth["password"],
        "domain": {"name": auth.get("user_domain_name", "Default")},
    }
    project = {"name": auth["project_name"], "domain": {"name": auth.get("project_domain_name", "Default")}}
    return {
        "auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}
    }


def _by_urls(params, url, fail):
    """Return what asks a server by Ansible's own urls, for which nothing else has to be installed."""
    try:
        asked = identity(params["auth"])
        where = params["auth"]["auth_url"].rstrip("/")
    except KeyError as missing:
        fail(msg="auth lacks %s." % missing)
    where = where if where.endswith("/v3") else where + "/v3"
    more = dict(validate_certs=params["validate_certs"] is not False, ca_path=params["ca_cert"])
    token = []

    def send(method, address, body, headers):
        data = None if body is None else json.dumps(body)
        headers = dict({"Content-Type": "application/json"} if data else {}, **headers)
        for turn in range(BUSY_TRIES):
            try:
                answer = open_url(
                    address, method=method, data=data, headers=headers, timeout=params["api_timeout"], **more
                )
                return answer.getcode(), answer.headers, answer.read()
            except HTTPError as error:
                if error.code != 429 or turn == BUSY_TRIES - 1:
                    return error.code, error.headers, error.read()
                time.sleep(min(int(error.headers.get("Retry-After") or 1), 60))
            except (OSError, HTTPException) as error:
                said = getattr(error, "reason", None) or error
                raise Refused(0, UNREACHABLE, "%s doesn't answer: %s." % (address, said)) from None

    def log_in():
        status, headers, _body = send("POST", where + "/auth/tokens", asked, {})
        if status != 201:
            fail(msg="Keystone refuses the credentials (HTTP status %s)." % status)
        token[:] = [headers["X-Subject-Token"]]

    def ask(method, path, body=None):
        if not token:
            log_in()
        status, _headers, content = send(method, url.rstrip("/") + path, body, {"X-Auth-Token": token[0]})
        if status == 401:  # what is waited for may take longer than a token lasts
            log_in()
            status, _headers, content = send(method, url.rstrip("/") + path, body, {"X-Auth-Token": token[0]})
        return status, content

    return ask


def _by_keystoneauth(params, url, fail):
    try:
        import openstack  # late: it takes half a second
        from keystoneauth1 import exceptions
    except ImportError:
        fail(msg=missing_required_lib("openstacksdk"))
    given = {
        "auth_type": params["auth_type"],
        "auth": params["auth"],
        "region_name": params["region_name"],
        "verify": params["validate_certs"],
        "cacert": params["ca_cert"],
        "interface": params["interface"],
    }
    given = {name: value for name, value in given.items() if value is not None}
    cloud = params["cloud"]
    given = dict(cloud) if isinstance(cloud, dict) else dict(given, **({"cloud": cloud} if cloud else {}))
    try:
        connection = openstack.connect(**given)
        connection.session.get_token()
    except Exception as error:
        fail(msg="Keystone lets nobody in: %s" % error)
    override = None if url == "catalog" else url.rstrip("/")

    def ask(method, path, body=None):
        try:
            answer = connection.session.request(
                path,
                method,
                json=body,
                raise_exc=False,
                endpoint_override=override,
                endpoint_filter={
                    "service_type": "migration",
                    "interface": params["interface"],
                    "region_name": connection.config.get_region_name("migration") or None,
                },
                timeout=params["api_timeout"],
                status_code_retries=BUSY_TRIES,
                retriable_status_codes=[429],
            )
        except (exceptions.ConnectionError, exceptions.HttpServerError) as error:
            raise Refused(0, UNREACHABLE, "Longshore can't be reached: %s." % error) from None
        except exceptions.ClientException as error:
            fail(msg="Longshore can't be reached: %s." % error)
        return answer.status_code, answer.content

    return ask


def _by_command(params, fail):
    """Return what asks `longshore api` on this host by lines of JSON. What that begins goes on when it has ended."""
    state = ["--state", params["state_dir"]] if params["state_dir"] else []
    # Else it would ask the server that the environment names
    environment = {name: value for name, value in os.environ.items() if name != "LONGSHORE_URL"}
    try:
        process = subprocess.Popen(
            [params["command"]] + state + ["api"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
    except OSError as error:
        fail(msg="%s can't be started: %s. Without url, Longshore itself is needed." % (params["command"], error.strerror))

    def ask(method, path, body=None):
        try:
            process.stdin.write(json.dumps({"method": method, "path": path, "body": body}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            fail(msg="longshore api has ended before it answered.")
        said = json.loads(line)
        return said["status"], json.dumps(said["body"])

    return ask
