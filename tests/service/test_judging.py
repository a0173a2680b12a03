"""Who makes tokens up keeps nobody waiting whose token is known, and not many others."""

import asyncio
import threading
import time

import pytest

from longshore.service.caller import Caller, Unauthenticated
from longshore.service.judging import _AT_ONCE, _OF_AN_ADDRESS, Judging


class Keystone:
    """Says nothing about tokens that begin with "made-up" until it is let."""

    def __init__(self):
        self.answers, self.asked, self.lock = threading.Event(), 0, threading.Lock()

    def caller(self, _method, _path, headers):
        token = headers["x-auth-token"]
        if not token.startswith("made-up"):
            return Caller(token)
        with self.lock:
            self.asked += 1
        self.answers.wait(30)
        raise Unauthenticated("There is no token, or it isn't valid (any more).")


def request(token, address):
    headers = [(b"x-auth-token", token.encode())]
    return {"type": "http", "method": "GET", "path": "/v1/me", "headers": headers, "client": (address, 1)}


def test_made_up_tokens_keep_nobody_else_waiting():
    async def go():
        keystone = Keystone()
        judging = Judging(keystone)
        assert (await judging.caller(request("known", "192.0.2.1"))).project_id == "known"
        flood = [
            asyncio.create_task(judging.caller(request(f"made-up-{n}", f"198.51.100.{n % 2}"))) for n in range(200)
        ]
        while keystone.asked < _AT_ONCE:
            await asyncio.sleep(0.01)
        # Also from the address that they come from, and however many of them there are
        began = time.monotonic()
        for address in ("192.0.2.1", "198.51.100.0"):
            assert (await judging.caller(request("known", address))).project_id == "known"
        assert time.monotonic() - began < 5
        keystone.answers.set()
        assert {type(one) for one in await asyncio.gather(*flood, return_exceptions=True)} == {Unauthenticated}

    asyncio.run(go())


def test_one_address_leaves_room_for_the_new_tokens_of_others():
    async def go():
        keystone = Keystone()
        judging = Judging(keystone)
        flood = [asyncio.create_task(judging.caller(request(f"made-up-{n}", "198.51.100.7"))) for n in range(50)]
        while keystone.asked < _OF_AN_ADDRESS:
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(judging.caller(request("new", "192.0.2.1")), 10)).project_id == "new"
        assert keystone.asked == _OF_AN_ADDRESS
        keystone.answers.set()
        await asyncio.gather(*flood, return_exceptions=True)

    asyncio.run(go())


def test_a_token_that_is_valid_no_more_is_as_any_other():
    class Once(Keystone):
        valid = True

        def caller(self, method, path, headers):
            if not self.valid:
                raise Unauthenticated("There is no token, or it isn't valid (any more).")
            return super().caller(method, path, headers)

    async def go():
        keystone = Once()
        judging = Judging(keystone)
        await judging.caller(request("known", "192.0.2.1"))
        keystone.valid = False
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await judging.caller(request("known", "192.0.2.1"))
        assert not judging._known

    asyncio.run(go())
