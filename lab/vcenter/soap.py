"""SOAP: from the XML of a request to the call of a method, and from its result or fault back to XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from io import StringIO
from typing import Any
from xml.sax.saxutils import escape

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import Deserialize, SoapSerializer
from pyVmomi.VmomiSupport import F_OPTIONAL, GetWsdlName, GuessWsdlMethod, GuessWsdlType, Object, versionIdMap

from .context import Context
from .managed import ApiFault, Call, HangUp, fill

VERSION = "vim.version.v8_0_2_0"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
_NAMESPACES = {"urn:vim25": ""}

SERVICE_VERSIONS = (
    '<?xml version="1.0"?><namespaces version="1.0"><namespace><name>urn:vim25</name>'
    f"<version>{versionIdMap[VERSION]}</version><priorVersions><version>7.0.0.0</version></priorVersions>"
    "</namespace></namespaces>"
)

# What a client may ask before it has logged in: the service's content, which names the session manager to log in with.
_BEFORE_LOGIN = {
    ("ServiceInstance", "RetrieveServiceContent"),
    ("ServiceInstance", "content"),
    ("SessionManager", "Login"),
    ("SessionManager", "currentSession"),
}


def to_xml(value: Any, name: str = "returnval", kind: Any = object) -> str:
    out = StringIO()
    serializer = SoapSerializer(out, VERSION, _NAMESPACES)
    serializer.outermostAttrs = ' xmlns="urn:vim25"' + XSI
    serializer.Serialize(value, Object(name=name, type=kind, version=VERSION, flags=F_OPTIONAL))
    # pyVmomi writes the type of an object reference as no real server does; other clients stumble over it.
    return out.getvalue().replace('xsi:type="ManagedObject"', 'xsi:type="ManagedObjectReference"')


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _arguments(method: str, elements: list[ET.Element]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for param in GuessWsdlMethod(method).info.params:
        given = [ET.tostring(e) for e in elements if _local(e.tag) == param.name]
        if not given:
            arguments[param.name] = None
        elif issubclass(param.type, list):
            arguments[param.name] = [Deserialize(xml, param.type.Item) for xml in given]
        else:
            arguments[param.name] = Deserialize(given[0], param.type)
    return arguments


def _envelope(inner: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}">'
        f"<soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>"
    )


def fault_answer(error: ApiFault) -> str:
    kind = GetWsdlName(type(error.fault)) + "Fault"
    fill(error.fault)
    out = StringIO()
    serializer = SoapSerializer(out, VERSION, _NAMESPACES)
    serializer.outermostAttrs = XSI
    serializer.SerializeFaultDetail(error.fault, Object(name=kind, type=object, version=VERSION, flags=0))
    detail = out.getvalue().replace(
        f"<{kind}", f'<{kind} xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', 1
    )
    return _envelope(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
        f"<faultstring>{escape(error.message)}</faultstring><detail>{detail}</detail></soapenv:Fault>"
    )


class Dispatcher:
    """Answers SOAP requests from the context's objects."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def answer(self, body: bytes, cookie: str) -> tuple[str, str | None]:
        """The answer to one request and the session cookie it brings, if it logged in. Raises ApiFault, HangUp."""
        call_element = ET.fromstring(body).find(f"{{{ENVELOPE}}}Body")[0]  # type: ignore[index]
        method, elements = _local(call_element.tag), list(call_element)
        this = next(e for e in elements if _local(e.tag) == "_this")
        target = self.context.objects.get(this.text or "")
        wanted = elements[1].text or "" if method == "Fetch" else method
        kind = GuessWsdlType(this.get("type")).__name__.rpartition(".")[2]
        if (kind, wanted) not in _BEFORE_LOGIN and not self.context.sessions.touch(cookie):
            raise ApiFault(
                vim.fault.NotAuthenticated(
                    object=GuessWsdlType(this.get("type"))(this.text), privilegeId="System.View"
                ),
                "The session is not authenticated.",
            )
        if target is None:
            raise ApiFault(
                vmodl.fault.ManagedObjectNotFound(obj=GuessWsdlType(this.get("type"))(this.text)),
                f"The object '{this.get('type')}:{this.text}' has already been deleted",
            )
        if method == "Fetch":
            return self._fetch(target, wanted, cookie), None
        function = target.methods.get(method)
        if function is None:
            raise ApiFault(
                vmodl.fault.MethodNotFound(receiver=target.ref, method=method), f"Method {method} is not served."
            )
        call = Call(method, _arguments(method, elements), cookie)
        self.context.faults.meet(target, call)
        result = function(target, call)
        if call.hang_up:
            raise HangUp()
        return self._response(method, result, GuessWsdlMethod(method).info.result), call.new_cookie

    def _fetch(self, target: Any, name: str, cookie: str) -> str:
        info = target.vim_type._GetPropertyInfo(name)
        if info is None:
            raise ApiFault(vmodl.query.InvalidProperty(name=name), f"{target.moid} has no property {name}.")
        if isinstance(target.ref, vim.SessionManager) and name == "currentSession":
            value = self.context.sessions.of(cookie)
        else:
            with self.context.changed:
                value = target.get(name)
        return self._response("Fetch", value, info.type)

    def _response(self, method: str, value: Any, kind: Any) -> str:
        returned = ""
        if value is not None and kind not in (None, type(None)):
            with self.context.changed:  # a consistent picture: nothing changes while it is written down
                returned = to_xml(value, kind=kind)
        return _envelope(f'<{method}Response xmlns="urn:vim25">{returned}</{method}Response>')
