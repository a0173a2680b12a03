"""Tokens as Keystone judges them: asked about once, remembered for a while, in this process alone."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from faulty_identity import faulty_identity
from longshore.configuration import Keystone
from longshore.service import token_cache
from longshore.service.caller import IdentityUnavailable, Unauthenticated
from longshore.service.keystone import KeystoneTokens


@pytest.fixture
def identity():
    with faulty_identity() as identity:
        yield identity


@pytest.fixture
def clock(monkeypatch):
    """Seconds that are to have gone."""
    gone = [0.0]
    monkeypatch.setattr(token_cache, "_now", lambda: gone[0])
    return gone


def judge(identity, **settings):
    return KeystoneTokens(Keystone(auth_url=f"{identity.url}/v3", password="service", **settings).options())


def ask(tokens, token):
    return tokens.caller("GET", "/v1/providers", {"x-auth-token": token})


def ends_in(seconds):
    return f"{(datetime.now(UTC) + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}Z"


def test_keystone_is_asked_once_about_a_token_and_again_after_the_time_that_the_operator_set(identity, clock):
    identity.tokens["anns"] = ends_in(3600)
    tokens = judge(identity, cache_seconds=60)
    for _ in range(5):
        assert ask(tokens, "anns").project_id == "project-of-anns"
    assert identity.judged == 1
    del identity.tokens["anns"]  # revoked
    clock[0] = 59.0
    assert ask(tokens, "anns").project_id == "project-of-anns"
    clock[0] = 61.0
    with pytest.raises(Unauthenticated):
        ask(tokens, "anns")
    with pytest.raises(Unauthenticated):
        ask(judge(identity), "never-was-one")


def test_a_token_is_not_remembered_for_longer_than_it_lives(identity, clock):
    identity.tokens["anns"] = ends_in(30)
    tokens = judge(identity, cache_seconds=600)
    ask(tokens, "anns")
    clock[0] = 31.0
    ask(tokens, "anns")
    assert identity.judged == 2


def test_what_is_remembered_is_bounded_and_holds_no_token(identity):
    cache = token_cache.TokenCache(tokens=3)
    tokens = judge(identity)
    tokens._usual = replace(tokens._usual, cache=cache)
    for n in range(5):
        identity.tokens[f"token-{n}"] = ends_in(3600)
        ask(tokens, f"token-{n}")
    assert len(cache._kept) == 3
    assert not any("token-4" in key for key in cache._kept)
    ask(tokens, "token-4")
    assert identity.judged == 5
    ask(tokens, "token-0")
    assert identity.judged == 6


def test_no_cache_on_the_network_is_taken():
    """Its entries would be believed by whoever reads them, and python-memcached unpickles them."""
    with pytest.raises(ValueError, match="memcached"):
        Keystone(auth_url="http://127.0.0.1:1/v3", password="x", memcached=["127.0.0.1:11211"])
    with pytest.raises(ModuleNotFoundError):
        __import__("memcache")


def test_a_keystone_that_takes_connections_and_says_nothing_is_not_waited_for_ever(monkeypatch):
    monkeypatch.setattr("longshore.configuration.KEYSTONE_ANSWERS_WITHIN", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Keystone(auth_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v3", password="x")
        with pytest.raises(IdentityUnavailable):
            ask(KeystoneTokens({**settings.options(), "http_request_max_retries": 0}), "anns")
