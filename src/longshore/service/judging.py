"""Judging of tokens, so that who makes tokens up keeps nobody else waiting.

What Keystone has called valid lately is judged without asking it, or is asked about as soon as that is forgotten. Any
other token may be a made-up one: of those an address has a few under way, and the rest of its own wait.
"""

from collections import OrderedDict
from functools import partial
from hashlib import sha256

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.types import Scope

from longshore.service.caller import Caller, Forbidden, Tokens, Unauthenticated
from longshore.service.token_cache import TOKENS
from longshore.service.turns import LINE, Turns

_AT_ONCE = 16  # of each of both kinds, in threads of their own: nothing else that waits keeps callers out
_OF_AN_ADDRESS = 8


class Judging:
    """The judge of one application's callers."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._known: OrderedDict[bytes, None] = OrderedDict()  # digests; those that weren't used for longest go first
        self._knowing, self._asking = CapacityLimiter(_AT_ONCE), CapacityLimiter(_AT_ONCE)
        self._turns = Turns(_OF_AN_ADDRESS, LINE, _AT_ONCE)

    async def caller(self, scope: Scope) -> Caller:
        """Return who sent this request. Raises what Tokens.caller does, and Busy."""
        sent = dict(Headers(scope=scope))
        judge = partial(self._tokens.caller, scope["method"], scope["path"], sent)
        digest = sha256(sent.get("x-auth-token", "").encode()).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            try:
                return await to_thread.run_sync(judge, limiter=self._knowing)
            except (Unauthenticated, Forbidden):
                self._known.pop(digest, None)
                raise
        address = (scope.get("client") or [""])[0]
        async with self._turns.turn(address):
            caller = await to_thread.run_sync(judge, limiter=self._asking)
        self._known[digest] = None
        if len(self._known) > TOKENS:
            self._known.popitem(last=False)
        return caller
