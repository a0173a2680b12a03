"""People are told by channels: once, whatever the receivers do, and nobody else waits for one that is slow."""

import json
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from runs import Run
from sqlalchemy import update

from longshore.errors import Unreachable
from longshore.flows.telling import sending, watching
from longshore.flows.telling.line import LINE, OF_A_PROJECT, Telling
from longshore.model.channel import ChannelKind, Occasion, Tls, read_quiet
from longshore.model.channel import MailServer as Server
from longshore.model.reach import Reach
from longshore.model.status import Status
from longshore.store import NewMigration, Scope, StateDirectory, Store
from longshore.store.channels import NewChannel
from longshore.store.tables import ChannelRow, JobRow, MessageRow, MigrationRow, utc_now
from receivers import GONE, HELD, MailServer, Webhook, is_signed, trusted

pytestmark = pytest.mark.long

ADDRESS = {"address": "https://127.0.0.1:1/"}


class Installation:
    """A store whose migrations end as they are bid, and that watches when it is asked to."""

    def __init__(self, directory, **state):
        self.store = Store(StateDirectory(directory, **state))
        self.telling = Telling()
        self.cloud = self.store.providers.add("cloud", "openstack", {}, {}).id

    def channel(self, name="oncall", kind=ChannelKind.WEBHOOK, on=tuple(Occasion), project="", **more):
        fields = {"waits_after": 1800.0, "quiet": None, "digest": 0.0, "mail": None, "secrets": {}} | more
        new = NewChannel(name, kind, on, **fields)
        return self.store.scoped(Scope(project)).channels.add(new).id

    def mail(self, server, **more):
        to = Server("127.0.0.1", server.port, "longshore@example.org", "team@example.org", Tls.NONE)
        return self.channel("mail", ChannelKind.MAIL, mail=to, **more)

    def move(self, machine="web", status=None, request=None, plan=None, wave=1, **values):
        """Add a migration, as it stands then."""
        new = NewMigration(
            machine, machine, self.cloud, self.cloud, request or {"type": "cold"}, plan_id=plan, wave=wave
        )
        (record,) = self.store.migrations.add_together([new])
        if status is not None:
            self.set(record.id, status=status.value, **({"finished_at": utc_now()} if status.ended else {}), **values)
        return record.id

    def set(self, id_, **values):
        with self.store.database.session() as session:
            session.execute(update(MigrationRow).where(MigrationRow.id == id_).values(**values))

    def job(self, id_, **values):
        with self.store.database.session() as session:
            session.execute(update(JobRow).where(JobRow.record_id == id_).values(**values))

    def fail(self, machine="web", project=None):
        id_ = self.move(machine, Status.FAILED, error=f"{machine} is too large")
        if project is not None:
            self.set(id_, project_id=project)
        return id_

    def watch(self):
        """Look, and wait until all that is due was tried."""
        watching.watch(self.store, self.telling)
        assert self.telling.wait(60)

    def look(self, after=timedelta()):
        watching.note(self.store, datetime.now(UTC) + after)

    def try_again(self):
        """Have the moment of the next try come."""
        with self.store.database.session() as session:
            session.execute(update(ChannelRow).values(retry_at=utc_now()))
        self.watch()

    def one(self, name="oncall"):
        return self.store.channels.get(name)

    def waiting(self):
        with self.store.database.session() as session:
            return [row.body["text"] for row in session.query(MessageRow).order_by(MessageRow.id)]


@pytest.fixture
def here(tmp_path):
    installations = []

    def make(**state):
        installations.append(Installation(tmp_path / f"state-{len(installations)}", **state))
        return installations[-1]

    yield make
    for one in installations:
        one.store.close()


@pytest.fixture
def tls(tmp_path, monkeypatch):
    with trusted(tmp_path, monkeypatch) as context:
        yield context


@pytest.fixture
def webhook(tls):
    webhook = Webhook(tls)
    yield webhook
    webhook.end()


@pytest.fixture
def mails():
    server = MailServer()
    yield server
    server.end()


def test_what_fails_is_told_once_and_signed(here, webhook):
    one = here()
    one.channel(secrets={"address": webhook.url, "key": "a key"})
    id_ = one.fail()
    one.watch()
    one.watch()
    ((headers, body),) = webhook.asked
    (message,) = json.loads(body)["messages"]
    assert {name: message[name] for name in ("occasion", "state", "id", "name", "text")} == {
        "occasion": "failed",
        "state": "begins",
        "id": id_,
        "name": "web",
        "text": "The cold of web has failed: web is too large",
    }
    assert is_signed(headers, body, b"a key")
    assert not is_signed(headers, body + b" ", b"a key")
    channel = one.one()
    assert (channel.waiting, channel.error, channel.told_at is not None) == (0, None, True)


@pytest.mark.parametrize("answer", [500, 404, 302, GONE])
def test_a_receiver_that_refuses_loses_nothing_and_gets_nothing_twice(here, webhook, answer):
    one = here()
    one.channel(secrets={"address": webhook.url})
    webhook.answers = [answer, answer]
    one.fail("web")
    one.watch()
    one.fail("db")
    one.watch()
    assert webhook.tries == 1, "it is left alone until its next try is due"
    channel = one.one()
    assert (channel.waiting, channel.failures) == (2, 1)
    assert channel.error
    assert "swordfish" not in channel.error
    for _ in range(4):
        one.try_again()
    assert [message["name"] for message in webhook.messages] == ["web", "db"]
    assert (one.one().waiting, one.one().failures, one.one().error) == (0, 0, None)


def test_a_delivery_has_the_same_id_at_each_try(here, webhook):
    one = here()
    one.channel(secrets={"address": webhook.url})
    one.fail()
    webhook.answers = [500]
    with_ids = []
    send = sending.send

    def noted(store, channel, notice):
        with_ids.append(notice.id)
        send(store, channel, notice)

    watching.send, original = noted, watching.send
    try:
        one.watch()
        one.fail("db")
        one.try_again()
    finally:
        watching.send = original
    assert with_ids[0] == with_ids[1] == webhook.asked[0][0]["Longshore-Delivery"]
    assert len(json.loads(webhook.asked[0][1])["messages"]) == 1, "what came later goes in another one"


def test_one_that_is_away_is_told_when_it_is_back(here, tls):
    webhook = Webhook(tls)
    webhook.end()
    one = here()
    one.channel(secrets={"address": webhook.url})
    one.fail()
    one.watch()
    assert (one.one().waiting, one.one().failures) == (1, 1)
    back = Webhook(tls)
    try:
        one.store.channels.change("oncall", {}, secrets={"address": back.url})
        one.watch()
        assert [message["name"] for message in back.messages] == ["web"]
    finally:
        back.end()


def test_one_that_is_slow_holds_up_neither_the_look_nor_others(here, tls, webhook):
    one = here(reach=Reach(("127.0.0.0/8",)))
    slow = Webhook(tls)
    slow.answers = [HELD]
    try:
        one.channel("slow", secrets={"address": slow.url})
        one.channel("other", secrets={"address": webhook.url}, project="b")
        one.fail(project="")
        one.fail("db", project="b")
        watching.watch(one.store, one.telling)
        assert slow.arrived.wait(60)
        assert webhook.arrived.wait(60)
        watching.watch(one.store, one.telling)
        assert slow.tries == 1, "nobody else tells meanwhile what it is being told"
        slow.let_go.set()
        assert one.telling.wait(60)
        one.watch()
        assert [message["name"] for message in slow.messages] == ["web"]
        assert [message["name"] for message in webhook.messages] == ["db"]
    finally:
        slow.end()


def test_one_that_never_answers_is_given_up_in_time_and_tried_again(here, webhook, monkeypatch):
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    one = here()
    one.channel(secrets={"address": webhook.url})
    webhook.answers = [HELD]
    one.fail()
    one.watch()
    assert one.one().failures == 1
    assert one.one().waiting == 1


def test_what_a_process_claimed_that_died_is_told_by_another(here, webhook):
    one = here()
    id_ = one.channel(secrets={"address": webhook.url})
    one.fail()
    one.look()
    assert one.store.channels.claim(id_, "the dead one's") is not None
    one.watch()
    assert webhook.tries == 0, "it may be about to tell it"
    with one.store.database.session() as session:
        session.execute(update(ChannelRow).values(claimed_until=0.0))
    one.watch()
    one.watch()
    assert [message["name"] for message in webhook.messages] == ["web"]


def test_what_two_processes_look_at_is_noted_once(here):
    one = here()
    one.channel(secrets=ADDRESS)
    one.fail()
    at_once = [threading.Thread(target=one.look) for _ in range(4)]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert len(one.waiting()) == 1


def test_what_nobody_takes_for_days_is_given_up_and_counted(here):
    one = here()
    one.channel(secrets={"address": "https://127.0.0.1:1/"})
    one.fail()
    one.look()
    with one.store.database.session() as session:
        session.execute(update(MessageRow).values(made_at=utc_now() - timedelta(days=4)))
    one.watch()
    assert (one.one().waiting, one.one().lost) == (0, 1)


def test_mail_is_told_once_though_its_server_refuses_first(here, mails):
    one = here()
    one.mail(mails)
    mails.answers = ["451 Later", "554 Never"]
    one.fail()
    one.watch()
    assert one.one("mail").error == "The mail server answered with status 451."
    one.try_again()
    one.try_again()
    one.try_again()
    (envelope,) = mails.taken
    assert envelope.rcpt_tos == ["team@example.org"]
    text = envelope.content.decode()
    assert "Subject: [longshore] The cold of web has failed: web is too large" in text
    assert "Message-ID: <" in text


def test_a_mail_server_that_is_slow_holds_up_nobody(here, mails, webhook):
    one = here()
    one.mail(mails)
    one.channel(secrets={"address": webhook.url})
    mails.answers = [HELD]
    one.fail()
    watching.watch(one.store, one.telling)
    assert mails.arrived.wait(60)
    assert webhook.arrived.wait(60)
    mails.let_go.set()
    assert one.telling.wait(60)
    one.watch()
    assert len(mails.taken) == 1
    assert one.one("mail").error is None


def test_a_mail_server_that_is_away_or_never_says_a_word_is_tried_again(here, monkeypatch):
    away = MailServer()
    away.end()
    one = here()
    one.mail(away)
    one.fail()
    one.watch()
    assert (one.one("mail").waiting, one.one("mail").failures) == (1, 1)


def test_a_mail_server_that_trickles_is_broken_off(here, monkeypatch):
    """A byte now and then is no silence, and never an answer."""
    import socket

    monkeypatch.setattr(sending, "MAIL_TAKES", 1.0)
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def trickle():
        with listening.accept()[0] as wire:
            try:
                while not over.wait(0.05):
                    wire.sendall(b"2")
            except OSError:
                over.set()

    threading.Thread(target=trickle, daemon=True).start()
    one = here()
    server = Server("127.0.0.1", listening.getsockname()[1], "a@example.org", "b@example.org", Tls.NONE)
    one.channel("mail", ChannelKind.MAIL, mail=server)
    one.fail()
    one.watch()
    assert one.one("mail").failures == 1
    assert over.wait(60)
    listening.close()


def test_a_password_goes_over_tls_alone_and_a_wrong_one_is_said(here, tls):
    server = MailServer(tls, password="swordfish")
    try:
        one = here()
        to = Server("127.0.0.1", server.port, "a@example.org", "b@example.org", Tls.STARTTLS, "ann")
        one.channel("mail", ChannelKind.MAIL, mail=to, secrets={"password": "wrong"})
        one.fail()
        one.watch()
        assert one.one("mail").error == "The mail server doesn't take the user and password."
        one.store.channels.change("mail", {}, secrets={"password": "swordfish"})
        one.watch()
        assert len(server.taken) == 1
    finally:
        server.end()


def test_a_certificate_that_nobody_vouches_for_is_not_told(here, webhook, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    one = here()
    one.channel(secrets={"address": webhook.url})
    one.fail()
    one.watch()
    assert webhook.tries == 0
    assert one.one().error == "Its certificate isn't one to be trusted."


def test_chats_get_what_they_take_and_no_marks_of_a_strangers(here, webhook):
    one = here()
    one.channel("slack", ChannelKind.SLACK, secrets={"address": webhook.url})
    one.channel("teams", ChannelKind.TEAMS, secrets={"address": webhook.url})
    one.fail("<!channel> *web*")
    one.watch()
    told = [json.loads(body) for _, body in webhook.asked]
    (slack,) = (one for one in told if "text" in one)
    assert "&lt;!channel&gt; *web*" in slack["text"]
    assert slack["mrkdwn"] is False
    (teams,) = (one for one in told if "attachments" in one)
    (block,) = teams["attachments"][0]["content"]["body"]
    assert block["inlines"][0]["text"].startswith("The cold of <!channel> *web* has failed")


def test_quiet_hours_and_a_digest_put_it_off_and_make_one_of_many(here, webhook):
    one = here()
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M} UTC"
    one.channel(secrets={"address": webhook.url}, quiet=hours)
    for machine in ("web", "db", "mail"):
        one.fail(machine)
    one.watch()
    assert (webhook.tries, one.one().waiting) == (0, 3)
    one.store.channels.change("oncall", {"quiet": None, "digest": 3600.0})
    one.watch()
    assert webhook.tries == 0
    with one.store.database.session() as session:
        session.execute(update(MessageRow).values(made_at=utc_now() - timedelta(hours=1)))
    one.watch()
    assert (webhook.tries, len(webhook.messages)) == (1, 3)


@pytest.mark.parametrize(
    ("now", "over"),
    [
        ("2026-06-01T19:59+00:00", "2026-06-01T19:59+00:00"),
        ("2026-06-01T20:00+00:00", "2026-06-02T05:00+00:00"),
        ("2026-06-02T04:59+00:00", "2026-06-02T05:00+00:00"),
        ("2026-06-02T05:00+00:00", "2026-06-02T05:00+00:00"),
    ],
)
def test_quiet_hours_go_past_midnight_in_their_own_zone(now, over):
    quiet = read_quiet("22:00-07:00 Europe/Berlin")
    assert quiet.over_at(datetime.fromisoformat(now)) == datetime.fromisoformat(over)


def test_what_waits_is_told_after_its_time_though_it_syncs_meanwhile(here):
    one = here()
    one.channel(secrets=ADDRESS, on=(Occasion.WAITS,))
    id_ = one.move(request={"type": "warm", "cutover": {"mode": "manual"}})
    one.set(id_, status="running", phase="waiting", syncs=[{"bytes_changed": 1}])
    one.look()
    one.set(id_, phase="copying")
    one.look(timedelta(minutes=29))
    assert one.waiting() == []
    one.look(timedelta(minutes=31))
    one.look(timedelta(minutes=32))
    (text,) = one.waiting()
    assert text.startswith("The warm of web has waited for you for 30 min")


def test_a_wave_is_told_when_all_of_it_has_ended_and_again_after_another_try(here):
    one = here()
    one.channel(secrets=ADDRESS, on=(Occasion.WAVE_ENDED,))
    plan = one.store.plans.add("move", {}).id
    one.move("web", Status.DONE, plan=plan, wave=2)
    db = one.move("db", Status.RUNNING, plan=plan, wave=2)
    one.look()
    assert one.waiting() == []
    one.set(db, status="failed", finished_at=utc_now())
    one.look()
    one.look()
    assert one.waiting() == ["The wave 2 of plan move has ended: 1 done, 1 failed."]
    again = one.move("db", Status.RUNNING, plan=plan, wave=2)
    one.look()
    one.set(again, status="done", finished_at=utc_now())
    one.look()
    assert one.waiting()[1:] == ["The wave 2 of plan move has ended: 2 done."]


def test_what_is_parked_is_told_once_though_it_is_tried_again_and_again(here):
    one = here()
    one.channel(secrets=ADDRESS, on=(Occasion.PARKED,))
    id_ = one.move()
    for status in ("parked", "running", "parked"):
        one.set(id_, status=status)
        one.job(id_, status=status, parked=1, reason="The cloud is away.")
        one.look()
    assert one.waiting() == ["The cold of web is parked, and is tried again by itself: The cloud is away."]


def test_a_window_in_danger_is_told_before_it_begins(here):
    one = here()
    one.channel(secrets=ADDRESS, on=(Occasion.WINDOW,))
    at, until = (datetime.now(UTC) + timedelta(hours=hours) for hours in (3, 5))
    cutover = {"mode": "scheduled", "at": at.isoformat(), "until": until.isoformat()}
    id_ = one.move(request={"type": "warm", "cutover": cutover})
    one.set(id_, status="running")
    one.look()
    assert one.waiting() == []
    one.look(timedelta(hours=2, minutes=30))
    (text,) = one.waiting()
    assert text == f"The window of web begins at {at:%Y-%m-%d %H:%M} UTC, and its first copy isn't done."


def test_troubles_of_vaults_and_their_end_are_told(here):
    one = here()
    one.channel(secrets=ADDRESS, on=(Occasion.VAULT,))
    vault = one.store.providers.add("vault", "vault", {}, {})
    one.store.providers.note_check(vault.id, {}, Unreachable("The bucket doesn't answer."))
    one.look()
    one.store.providers.note_check(vault.id, {})
    one.look()
    assert one.waiting() == ["Vault vault: The bucket doesn't answer.", "Vault vault is in order again."]


def test_what_a_channel_is_not_to_tell_any_more_isnt_told_to_be_over(here):
    one = here()
    id_ = one.channel(secrets=ADDRESS)
    vault = one.store.providers.add("vault", "vault", {}, {})
    one.store.providers.note_check(vault.id, {}, Unreachable("The bucket doesn't answer."))
    one.look()
    one.store.channels.change(id_, {"occasions": ["failed"]})
    one.look()
    assert one.waiting() == ["Vault vault: The bucket doesn't answer."]


def test_what_was_before_the_channel_isnt_told(here):
    one = here()
    id_ = one.fail()
    one.set(id_, finished_at=utc_now() - timedelta(hours=1))
    one.channel(secrets=ADDRESS)
    one.look()
    assert one.waiting() == []


def test_a_project_is_told_of_its_own_alone(here):
    one = here()
    one.channel(secrets=ADDRESS, project="a")
    one.fail("web", project="a")
    one.fail("db", project="b")
    one.look()
    assert one.waiting() == ["The cold of web has failed: web is too large"]


def test_a_projects_webhook_and_mail_are_held_within_the_operators_bounds(here, webhook, mails):
    one = here(reach=Reach())
    one.channel(secrets={"address": webhook.url}, project="a")
    to = Server("127.0.0.1", mails.port, "a@example.org", "b@example.org", Tls.NONE)
    one.channel("mail", ChannelKind.MAIL, mail=to, project="a")
    one.fail(project="a")
    one.watch()
    for name in ("oncall", "mail"):
        assert "is at an address to which this server doesn't connect" in one.one(name).error
    assert (webhook.tries, mails.taken) == (0, [])


def test_the_operators_command_gets_all_projects_and_no_secret(here, tmp_path, monkeypatch):
    monkeypatch.setenv("LONGSHORE_DATABASE_URL", "secret")
    kept = tmp_path / "told"
    program = f"import os, sys; open({str(kept)!r}, 'w').write(sys.stdin.read() + repr(sorted(os.environ)))"
    one = here(alert_command=(sys.executable, "-c", program))
    one.fail(project="a")
    one.look()
    assert one.waiting() == []
    one.fail("db", project="b")
    one.watch()
    told = kept.read_text()
    assert '"name": "db"' in told
    assert "LONGSHORE" not in told
    one.store.state = replace(one.store.state, alert_command=())
    one.watch()
    assert one.store.channels.all() == []


def test_a_command_that_fails_is_run_again(here):
    one = here(alert_command=("/nowhere/program",))
    one.look()
    one.fail()
    one.watch()
    assert one.one("operator").error == "The command couldn't be run (FileNotFoundError)."
    assert one.one("operator").waiting == 1


def test_secrets_are_kept_sealed(here, tmp_path):
    one = here()
    one.channel(secrets={"address": "https://hooks.example.org/swordfish", "key": "marlin"})
    one.store.database.close()
    assert b"swordfish" not in (kept := b"".join(path.read_bytes() for path in one.store.state.root.glob("*.db*")))
    assert b"marlin" not in kept


def test_a_project_that_has_much_to_say_has_a_few_places_in_the_line():
    telling, going_on, at_once, most, lock = Telling(), threading.Event(), [0], [0], threading.Lock()
    all_places = threading.Event()

    def slow():
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            if most[0] == OF_A_PROJECT:
                all_places.set()
        going_on.wait(20)
        with lock:
            at_once[0] -= 1

    taken = [telling.tell("loud", slow) for _ in range(LINE + OF_A_PROJECT + 5)]
    assert LINE <= taken.count(True) <= LINE + OF_A_PROJECT
    quiet = threading.Event()
    assert telling.tell("quiet", quiet.set)
    assert quiet.wait(5)
    assert all_places.wait(20)
    going_on.set()
    assert telling.wait(20)
    assert most[0] == OF_A_PROJECT


def test_the_end_of_the_last_job_is_told_before_the_engine_ends(tmp_path, mails):
    """An engine without a server ends when nothing is left to do, which is sooner than the next look."""
    run = Run(tmp_path, networks={"VM Network": "nowhere"})
    to = Server("127.0.0.1", mails.port, "a@example.org", "b@example.org", Tls.NONE)
    new = NewChannel("mail", ChannelKind.MAIL, (Occasion.FAILED,), 1800.0, None, 0.0, to, {})
    run.store.channels.add(new)
    mails.answers = ["451 Later"]  # which the engine waits for
    status, _ = run.engine()
    assert (status, run.record.status) == (0, Status.FAILED)
    (envelope,) = mails.taken
    assert "web has failed" in envelope.content.decode()
