"""A stand-in for Keystone's judgement of tokens, so that a test can be many callers."""

from longshore.configuration import QuotaSettings
from longshore.providers.grounds import CloudGround, Grounds
from longshore.service.caller import Access, Caller, Forbidden, Unauthenticated
from longshore.service.policy import OsloPolicy

MEMBER = ("member", "reader")
CALLERS = {
    "ann": Caller("project-a", "ann", roles=MEMBER),
    "ann-reader": Caller("project-a", "rita", roles=("reader",)),
    "ann-nothing": Caller("project-a", "nina", roles=("load-balancer_observer",)),
    "bob": Caller("project-b", "bob", roles=MEMBER),
    "admin": Caller("project-admin", "root", roles=("admin", "manager", *MEMBER)),
}
GROUNDS = Grounds({"https://cloud:5000/v3": CloudGround("/etc/ceph/cloud.conf", "cinder")}, "/opt/vddk")


class Tokens:
    """A token is the name of its caller."""

    def caller(self, _method, _path, headers):
        token = headers.get("x-auth-token")
        if token == "unscoped":
            raise Forbidden("The token is for no project.")
        if token not in CALLERS:
            raise Unauthenticated("There is no token, or it isn't valid (any more).")
        return CALLERS[token]

    caller_now = caller


def access(policy_file=None, **quotas):
    return Access(Tokens(), OsloPolicy(policy_file), GROUNDS, QuotaSettings(**quotas))
