"""What a cloud's refusals become. The bodies are those of Zed's services."""

import json

import pytest
import requests
from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk

from longshore.errors import (
    FAULT,
    AccessDenied,
    Conflict,
    LoginRefused,
    NotFound,
    Occupied,
    ProviderError,
    QuotaExceeded,
    Unreachable,
)
from longshore.providers.openstack.faults import explained


def answer(status: int, body: dict | str) -> sdk.HttpException:
    response = requests.Response()
    response.status_code = status
    page = isinstance(body, str)
    response.headers["content-type"] = "text/html" if page else "application/json"
    response._content = body.encode() if page else json.dumps(body).encode()
    try:
        sdk.raise_from_response(response)
    except sdk.HttpException as error:
        return error
    raise AssertionError(status)


CASES = [
    (
        answer(
            413, {"overLimit": {"code": 413, "message": "VolumeSizeExceedsAvailableQuota: Requested volume exceeds"}}
        ),
        QuotaExceeded,
        "The project's quota has no room to make it: VolumeSizeExceedsAvailableQuota",
    ),
    (
        answer(
            403, {"forbidden": {"code": 403, "message": "Quota exceeded for cores: Requested 2, but already used 10"}}
        ),
        QuotaExceeded,
        "Requested 2, but already used 10",
    ),
    (
        answer(409, {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port']."}}),
        QuotaExceeded,
        r"Quota exceeded for resources: \['port'\]",
    ),
    (
        answer(403, {"forbidden": {"code": 403, "message": "Policy doesn't allow volume:create to be performed."}}),
        AccessDenied,
        r"may not make it: Policy doesn't allow",
    ),
    (answer(409, {"conflictingRequest": {"message": "Instance is locked"}}), Conflict, r"Instance is locked\."),
    (
        answer(
            409, {"conflictingRequest": {"message": "Cannot 'stop' instance s while it is in task_state migrating"}}
        ),
        Occupied,
        r"can't make it now: Cannot 'stop' instance s while it is in task_state migrating\.",
    ),
    (
        answer(
            400,
            {"badRequest": {"message": "Invalid volume: status must be available, but current status is: backing-up."}},
        ),
        Occupied,
        "backing-up",
    ),
    *(
        (
            answer(400, {"badRequest": {"message": f"Invalid volume: must be free, but current status is: {st}."}}),
            ProviderError,
            st,
        )
        for st in ("error_extending", "awaiting-transfer")  # which end by no waiting
    ),
    (
        answer(409, {"conflictingRequest": {"message": "Cannot 'stop' instance s while it is in vm_state stopped"}}),
        Conflict,
        "can't make it as things are",
    ),
    (
        answer(429, {"overLimit": {"message": "API rate limit exceeded, retry in 20 s"}}),
        Unreachable,
        r"asks to wait before we make it \(HTTP 429\): API rate limit exceeded",
    ),
    (
        answer(413, {"overLimit": {"message": "This request was rate-limited. Only 10 POST request(s) can be made."}}),
        Unreachable,
        r"asks to wait before we make it \(HTTP 413\)",
    ),
    (
        answer(
            413,
            "<html><head><title>413 Request Entity Too Large</title></head><body><center><h1>413 Request Entity Too "
            "Large</h1></center><hr><center>nginx/1.25.3</center></body></html>",
        ),
        ProviderError,
        r"A proxy before the cloud lets no request through .* to make it: .* client_max_body_size",
    ),
    (
        answer(413, "<html><body><h1>413 Request Entity Too Large</h1>Denying attempt to upload image</body></html>"),
        QuotaExceeded,
        "Denying attempt to upload image",
    ),
    (answer(404, {"itemNotFound": {"message": "Flavor gone could not be found."}}), NotFound, "Flavor gone"),
    (answer(401, {"error": {"message": "The request requires authentication."}}), LoginRefused, "no longer accepts"),
    (answer(500, {"computeFault": {"message": "Unexpected API Error."}}), ProviderError, r"\(HTTP 500\)"),
    (
        answer(503, {"message": "The Keystone service is temporarily unavailable."}),
        Unreachable,
        r"couldn't make it now \(HTTP 503\): The Keystone service is temporarily unavailable\.",
    ),
    (
        answer(
            500,
            {
                "computeFault": {
                    "message": "Unexpected API Error.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>"
                }
            },
        ),
        Unreachable,
        r"now \(HTTP 500\): .*MessagingTimeout",
    ),
    (
        auth.Unauthorized("The request you have made requires authentication. (HTTP 401)"),
        LoginRefused,
        "refused the login",
    ),
    (
        auth.SSLError(
            "SSL exception connecting to https://c.example:5000/v3: Max retries exceeded (Caused by SSLError("
            "SSLCertVerificationError(1, '[SSL: X] certificate verify failed: self-signed certificate (_ssl.c:992)')))"
        ),
        Unreachable,
        r"https://c\.example:5000 shows a TLS certificate that isn't trusted, so we didn't make it: self-signed",
    ),
    (
        auth.ConnectFailure(
            "Unable to establish connection to http://c.example/v3/auth/tokens: HTTPConnectionPool(host='c.example'): "
            """Max retries exceeded (Caused by NewConnectionError("HTTPConnection: [Errno 111] Connection refused"))"""
        ),
        Unreachable,
        r"http://c\.example didn't answer while trying to make it: Connection refused\. ",
    ),
    (
        auth.ConnectFailure("Something new"),
        Unreachable,
        r"The cloud didn't answer while trying to make it: Something new\.",
    ),
    (auth.EndpointNotFound("volumev3 endpoint not found"), ProviderError, "no usable endpoint"),
    (sdk.SDKException("Something else"), ProviderError, r"couldn't make it: Something else\."),
]


@pytest.mark.parametrize(
    ("raised", "kind", "said"), CASES, ids=[type(case[0]).__name__ + case[1].code for case in CASES]
)
def test_each_refusal_becomes_one_sentence_of_the_right_kind(raised, kind, said):
    with pytest.raises(kind, match=said) as caught, explained("make it"):
        raise raised
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert caught.value.message.endswith(".")


def test_bugs_keep_their_traceback():
    with pytest.raises(KeyError), explained("make it"):
        raise KeyError("ours")


def test_a_fault_of_the_clouds_own_is_told_from_what_no_second_try_changes():
    with pytest.raises(ProviderError) as failed, explained("make it"):
        raise answer(500, {"computeFault": {"message": "Unexpected API Error."}})
    assert failed.value.code == FAULT
    with pytest.raises(ProviderError) as refused, explained("make it"):
        raise answer(400, {"badRequest": {"message": "No."}})
    assert refused.value.code == ProviderError.code


def test_a_fault_of_our_own_is_no_odd_answer():
    with pytest.raises(KeyError), explained("list servers"):
        {}["of ours"]
