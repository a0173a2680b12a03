"""A few answers of a vCenter's SOAP API over real TLS, in the order a test asks for them."""

import datetime
import http.server
import ipaddress
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS = "127.0.0.2"  # pyVmomi verifies nothing on 127.0.0.1
USER, PASSWORD = "administrator@vsphere.local", "pass word & <secret>"

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"
)
_CONTENT = (
    '<RetrieveServiceContentResponse xmlns="urn:vim25"><returnval>'
    '<rootFolder type="Folder">group-d1</rootFolder>'
    '<propertyCollector type="PropertyCollector">propertyCollector</propertyCollector>'
    '<viewManager type="ViewManager">ViewManager</viewManager>'
    "<about><name>VMware vCenter Server</name><fullName>VMware vCenter Server 8.0.2</fullName>"
    "<vendor>VMware, Inc.</vendor>"
    "<version>8.0.2</version><build>1</build><osType>linux-x64</osType><productLineId>vpx</productLineId>"
    "<apiType>VirtualCenter</apiType><apiVersion>8.0.2.0</apiVersion></about>"
    '<sessionManager type="SessionManager">SessionManager</sessionManager>'
    "</returnval></RetrieveServiceContentResponse>"
)
_SESSION = (
    '<LoginResponse xmlns="urn:vim25"><returnval><key>{0}</key><userName>u</userName><fullName/>'
    "<loginTime>2026-01-01T00:00:00Z</loginTime><lastActiveTime>2026-01-01T00:00:00Z</lastActiveTime>"
    "<locale>en</locale><messageLocale>en</messageLocale></returnval></LoginResponse>"
)
_VERSIONS = (
    '<?xml version="1.0"?><namespaces version="1.0"><namespace><name>urn:vim25</name><version>8.0.2.0</version>'
    "<priorVersions><version>7.0.0.0</version></priorVersions></namespace></namespaces>"
)


def fault(name: str, message: str, inside: str = "") -> str:
    return (
        f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{message}</faultstring><detail>"
        f'<{name}Fault xmlns="urn:vim25" xsi:type="{name}">{inside}</{name}Fault></detail></soapenv:Fault>'
    )


NOT_AUTHENTICATED = fault(
    "NotAuthenticated",
    "The session is not authenticated.",
    '<object type="VirtualMachine">vm-1</object><privilegeId>System.View</privilegeId>',
)


class Vcenter:
    """Knows one user; sessions can be ended; answers to other calls are set by the test, as SOAP bodies by method."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sessions: set[str] = set()
        self.logins = 0
        self.calls: list[str] = []
        self.answers: dict[str, str] = {}
        self.drops = 0  # as many of the next calls are cut off without an answer

    def answer(self, body: str, cookie: str) -> tuple[int, str, str | None]:
        method = re.search(r"<soapenv:Body><(\w+)", body)[1]
        self.calls.append(method)
        if method == "RetrieveServiceContent":
            return 200, _CONTENT, None
        if method == "Login":
            if ">pass word &amp; &lt;secret&gt;</password>" not in body:
                return (
                    500,
                    fault("InvalidLogin", "Cannot complete login due to an incorrect user name or password."),
                    None,
                )
            self.logins += 1
            key = f"session-{self.logins}"
            self.sessions.add(key)
            return 200, _SESSION.format(key), key
        if cookie not in self.sessions:
            return 500, NOT_AUTHENTICATED, None
        if method == "Logout":
            self.sessions.discard(cookie)
            return 200, '<LogoutResponse xmlns="urn:vim25"/>', None
        found = self.answers[method]
        return (500 if "soapenv:Fault" in found else 200), found, None


@contextmanager
def vcenter(directory: Path, common_name: str = "vcenter.test") -> Iterator[Vcenter]:
    shown = directory / f"{common_name}.pem"
    shown.write_bytes(certificate(common_name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version, wbufsize = "HTTP/1.1", 1 << 16

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.reply(200 if self.path == "/sdk/vimServiceVersions.xml" else 404, _VERSIONS, None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if state.drops and "RetrieveServiceContent" not in body:
                state.drops -= 1
                state.calls.append("(dropped)")
                self.close_connection = True
                return
            cookie = (self.headers.get("Cookie") or "").partition("vmware_soap_session=")[2].split(";")[0].strip('"')
            status, answer, session = state.answer(body, cookie)
            self.reply(status, _ENVELOPE.format(answer), session)

        def reply(self, status: int, text: str, session: str | None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            if session:
                self.send_header("Set-Cookie", f'vmware_soap_session="{session}"; Path=/; HttpOnly; Secure')
            self.end_headers()
            self.wfile.write(text.encode())

    class Server(http.server.ThreadingHTTPServer):
        def get_request(self):
            # The handshake belongs into the connection's thread: a client that refuses must not stop the server
            plain, address = super().get_request()
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_: object) -> None:
            pass

    server = Server((ADDRESS, 0), Handler)
    state = Vcenter(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def certificate(common_name: str) -> bytes:
    """Return a key and its own certificate for ADDRESS, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
