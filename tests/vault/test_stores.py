"""What a vault asks of the place of its objects: the same of a directory and of a bucket, and what goes wrong there."""

import secrets
import threading
import time
from datetime import timedelta

import pytest

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.vault import bucket as bucket_module
from longshore.vault.directory import Directory
from longshore.vault.errors import VaultFull
from longshore.vault.prune import prune
from longshore.vault.store import parts_of
from longshore.vault.vault import Vault, store_at
from s3_server import SECRET, S3Server, own_certificate


@pytest.fixture
def url():
    return f"s3://vaults/{secrets.token_hex(4)}/v"


@pytest.fixture
def bucket(s3, url):
    return s3.store(url)


@pytest.fixture(params=["directory", "bucket"])
def store(request, tmp_path):
    if request.param == "bucket":
        return request.getfixturevalue("bucket")
    return Directory(tmp_path)


@pytest.fixture
def soon_told(monkeypatch):
    """What is tried again is so at once, and not for long."""
    monkeypatch.setattr(bucket_module, "_RETRY", timedelta(seconds=0))
    monkeypatch.setattr(bucket_module, "_PAUSE", 0.001)


def test_what_is_created_is_there_in_full_and_stays_as_it_is(store):
    store.create("packs/ab/x.pack", bytearray(b"0123456789"))
    with pytest.raises(Conflict, match=r"packs/ab/x\.pack is in the vault"):
        store.create("packs/ab/x.pack", b"other")
    assert store.read("packs/ab/x.pack") == b"0123456789"
    assert store.size("packs/ab/x.pack") == 10
    assert store.has("packs/ab/x.pack")
    assert not store.has("packs/ab/y.pack")


def test_what_is_begun_is_no_object_until_it_is_created(store):
    begun = store.begin()
    for piece in (b"0123", bytearray(b"456"), b"789"):
        begun.append(piece)
    assert begun.read(2, 4) == b"2345"
    assert list(store.names("")) == []
    store.create("packs/ab/x.pack", begun)
    assert list(store.names("")) == ["packs/ab/x.pack"]
    assert store.read("packs/ab/x.pack") == b"0123456789"
    again = store.begin()
    again.append(b"other")
    with pytest.raises(Conflict):
        store.create("packs/ab/x.pack", again)
    assert store.read("packs/ab/x.pack") == b"0123456789"


def test_what_was_begun_in_a_directory_and_is_discarded_leaves_nothing(tmp_path):
    begun = Directory(tmp_path).begin()
    begun.append(b"0123")
    for _ in range(2):
        begun.discard()
        assert begun.read(0, 4) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("offset", "length", "found"), [(2, 3, b"234"), (8, 9, b"89"), (10, 1, b""), (0, 0, b"")])
def test_parts_end_where_the_object_does(store, offset, length, found):
    store.create("x", b"0123456789")
    assert store.read_part("x", offset, length) == found


def test_what_is_not_there_is_said_to_be_so(store):
    for ask in (store.read, store.size, store.changed_at, store.touch, lambda name: store.read_part(name, 0, 1)):
        with pytest.raises(NotFound, match="points/m/x isn't in the vault"):
            ask("points/m/x")
    store.delete("points/m/x")
    assert list(store.names("points")) == []


def test_names_are_those_below_a_folder(store):
    for name in ("points/m/a", "points/n/b", "pointless/c", "d"):
        store.create(name, b"")
    assert set(store.names("points")) == {"points/m/a", "points/n/b"}
    assert set(store.names("points/m")) == {"points/m/a"}
    store.delete("points/m/a")
    assert set(store.names("points")) == {"points/n/b"}


def test_times_are_the_stores_and_touching_moves_them_on(store):
    before = store.now()
    store.create("w", b"content")
    first = store.changed_at("w")
    assert before <= first <= store.now()
    time.sleep(1.01)  # the resolution of a bucket's times
    store.touch("w")
    assert store.changed_at("w") > first
    assert store.read("w") == b"content"
    assert set(store.names("")) == {"w"}


def test_of_many_who_create_one_object_one_does(store):
    done = []

    def create(number):
        try:
            store.create("prune.json", b"%d" % number)
            done.append(number)
        except Conflict:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    assert store.read("prune.json") == b"%d" % done[0]


def test_another_process_finds_the_same_by_what_it_is_told(store):
    store.create("x", b"1")
    assert store_at(store.told()).read("x") == b"1"


def test_a_new_vault_needs_a_free_place_and_one_that_was_given_up_leaves_none(store):
    vault = Vault.create(store)
    assert Vault.open(store, "write").id == vault.id
    with pytest.raises(Conflict):
        Vault.create(store)
    vault.discard()
    assert list(store.names("")) == []
    assert Vault.create(store, "a phrase").encrypted


# Of a bucket alone


def test_an_answer_that_was_lost_is_found_out(s3, bucket, monkeypatch):
    """The object is ours, though the second try of the same PUT is told that its name is taken."""
    lost = iter(["lost", None])
    s3.fault = lambda method, path: next(lost, None) if method == "PUT" else None
    bucket.create("x", b"1")
    assert bucket.read("x") == b"1"
    with pytest.raises(Conflict):
        bucket.create("x", b"1")
    lost = iter(["lost"])
    bucket.touch("x")
    # One whose answer doesn't come in time is tried again by us alone
    monkeypatch.setattr(bucket_module, "_STALLED", timedelta(seconds=0.3))
    monkeypatch.setattr(bucket_module, "_PAUSE", 0.5)
    impatient = s3.store(str(bucket))
    slow = iter([0.6])
    s3.fault = lambda method, path: next(slow, None) if method == "PUT" else None
    impatient.create("y", b"1")
    assert bucket.read("y") == b"1"


def test_a_server_that_fails_for_a_moment_is_asked_again(s3, bucket):
    bucket.create("x", b"1")
    failing = {"GET": 2, "HEAD": 1, "PUT": 1, "DELETE": 1}

    def fault(method, path):
        failing[method] -= 1
        return (503, "SlowDown") if failing[method] >= 0 else None

    s3.fault = fault
    assert bucket.read("x") == b"1"
    assert bucket.size("x") == 1
    bucket.create("y", b"2")
    failing["GET"] = 1
    assert set(bucket.names("")) == {"x", "y"}
    bucket.delete("x")
    assert not bucket.has("x")


def test_what_is_gone_is_not_made_again_by_a_touch_that_comes_late(s3, bucket):
    """A pruner takes a writer for dead between its reading and its writing."""
    bucket.create("writers/w.json", b"{}")

    def fault(method, path):
        if method == "PUT":
            s3.fault = None
            bucket.delete("writers/w.json")

    s3.fault = fault
    with pytest.raises(NotFound):
        bucket.touch("writers/w.json")
    assert not bucket.has("writers/w.json")


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (403, "AccessDenied", AccessDenied, "The access key AKIATEST may not use"),
        (403, "SignatureDoesNotMatch", AccessDenied, "The secret key isn't that of the access key AKIATEST"),
        (403, "InvalidAccessKeyId", AccessDenied, "doesn't know the access key AKIATEST"),
        (403, "RequestTimeTooSkewed", Unreachable, "whose clock is wrong"),
        (404, "NoSuchBucket", Unreachable, "There is no bucket vaults at http://127"),
        (301, "PermanentRedirect", InvalidInput, "is in another region"),
        (403, "QuotaExceeded", VaultFull, "is full"),
        (503, "SlowDown", Unreachable, "didn't answer as it should"),
    ],
)
@pytest.mark.usefixtures("soon_told")
def test_what_is_wrong_is_said_in_a_sentence_and_never_taken_for_an_empty_vault(s3, url, status, code, kind, said):
    bucket = s3.store(url)
    s3.fault = lambda method, path: (status, code)
    asked = (bucket.read, lambda name: list(bucket.names(name)), lambda name: bucket.create(name, b"1"), bucket.delete)
    for ask in asked:
        with pytest.raises(LongshoreError) as caught:
            ask("points")
        assert type(caught.value) is kind
        assert said in str(caught.value)
        assert SECRET not in repr(caught.value) + repr(caught.value.__cause__)
        assert len(str(caught.value)) < 250


@pytest.mark.usefixtures("soon_told")
def test_a_proxys_page_is_no_empty_vault(s3, url):
    """It answers 200, with HTML: for each request, or for a single list."""
    store = s3.store(url)
    vault = Vault.create(store)
    store.create("points/p", b"1")
    s3.fault = lambda method, path: "page"
    for ask in (
        lambda: list(store.names("points")),
        lambda: store.read("vault.json"),
        lambda: store.read_part("points/p", 0, 1),
        lambda: store.create("points/q", b"1"),
        lambda: store.delete("points/p"),
        store.versions.all,
        lambda: Vault.open(store, "read"),
        lambda: prune(vault),
    ):
        with pytest.raises(Unreachable, match="didn't answer as it should"):
            ask()
    pages = iter(["page"])
    s3.fault = lambda method, path: next(pages, None)
    assert list(store.names("points")) == ["points/p"]
    s3.fault = None
    assert list(store.names("writers")) == []


@pytest.mark.usefixtures("soon_told")
def test_a_server_that_is_away_and_a_bucket_that_is_not_there_are_said(s3, url):
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 didn't answer"):
        Vault.open(s3.store(url, endpoint="http://127.0.0.1:1"), "read")
    for do in (lambda store: Vault.open(store, "read"), Vault.create, lambda store: list(store.names("points"))):
        with pytest.raises(Unreachable, match="There is no bucket nowhere at"):
            do(s3.store("s3://nowhere/v"))
    with pytest.raises(NotFound, match=f"There is no vault in {url}"):
        Vault.open(s3.store(url), "read")


@pytest.mark.parametrize("header", ["HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"])
def test_a_server_that_overwrites_is_refused(s3, url, header, monkeypatch):
    """It heeds no conditions, as older ones do."""
    real = s3._app
    monkeypatch.setattr(
        s3, "_app", lambda environ, begin: real({n: v for n, v in environ.items() if n != header}, begin)
    )
    with pytest.raises(InvalidInput, match="two writers could spoil the vault"):
        Vault.create(s3.store(url))
    assert s3.stored(url) == {}


def test_a_server_that_compares_tags_without_their_quotes_is_understood(s3, url, monkeypatch):
    """As Ceph's gateway of release 16 does, for which no tag in quotes is ever the one that it has."""
    real = s3._app

    def gateway(environ, begin):
        tag = environ.get("HTTP_IF_MATCH")
        if tag is None:
            return real(environ, begin)
        return real({**environ, "HTTP_IF_MATCH": '"another"' if tag.startswith('"') else f'"{tag}"'}, begin)

    monkeypatch.setattr(s3, "_app", gateway)
    store = s3.store(url)
    store.prepare()
    store.create("writers/w1.json", b"w1")
    before = store.changed_at("writers/w1.json")
    s3.days_pass(url, 100)
    store.touch("writers/w1.json")
    assert store.changed_at("writers/w1.json") >= before
    assert store.read("writers/w1.json") == b"w1"
    store.delete("writers/w1.json")
    with pytest.raises(NotFound):
        store.touch("writers/w1.json")


def test_one_that_fails_half_way_leaves_nothing(s3, url):
    s3.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" and "vault.json" in path else None
    with pytest.raises(AccessDenied):
        Vault.create(s3.store(url), "a phrase")
    assert s3.stored(url) == {}


@pytest.mark.long
def test_a_server_with_a_certificate_of_its_own_is_trusted_by_the_file_of_its_authority_alone(s3, tmp_path):
    context, certificate = own_certificate(tmp_path)
    bucket = f"locked-{secrets.token_hex(4)}"
    s3.make_bucket(bucket, locks=True)
    served = S3Server(context)
    try:
        url = f"s3://{bucket}/v"
        made = Vault.create(served.store(url, ca_file=str(certificate)), lock=1000.0)
        assert Vault.open(store_at(made.store.told()), "write").lock == 1000.0
        for ask in (lambda store: store.read("vault.json"), lambda store: store.versions.all()):
            with pytest.raises(Unreachable, match=r"isn't from an authority that is trusted") as caught:
                ask(served.store(url))
            assert "--ca-file" in str(caught.value)
        (tmp_path / "none").write_text("nothing\n")
        for path in (tmp_path / "none", tmp_path / "absent"):
            with pytest.raises(InvalidInput, match="holds no certificates"):
                served.store(url, ca_file=str(path))
    finally:
        served.close()
        s3.remove_bucket(bucket)


def test_nothing_of_the_environment_is_mixed_in(s3, url, monkeypatch):
    for name in ("SESSION_TOKEN", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL", "REGION", "CONDITIONAL_PUT"):
        monkeypatch.setenv(f"AWS_{name}", "disabled" if name == "CONDITIONAL_PUT" else "http://127.0.0.1:1")
    store = s3.store(url)
    store.create("x", b"1")
    with pytest.raises(Conflict):
        store.create("x", b"2")
    assert SECRET not in repr(store) + repr(vars(store)["_store"])


@pytest.mark.parametrize(
    "url", ["s3://", "s3://b", "s3://UPPER/x", "s3://bucket/../x", "s3://bucket//x", "s3://bucket/a b", "https://b/x"]
)
def test_what_is_no_bucket_is_refused(url):
    with pytest.raises(InvalidInput, match="is no bucket"):
        parts_of(url)
