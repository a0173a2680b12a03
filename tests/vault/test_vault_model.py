"""Backups, deletions and prunes in any order, with two writers, kills at any change, and writers that sleep too long,
beside a model that simply keeps what each point must hold."""

import random
import secrets
from contextlib import suppress

import pytest
from small_vault import GRACE, Backup, Content, InBucket, InDirectory, Killed, all_points, holds, opened, scribble

from longshore.errors import Conflict, NotFound
from longshore.vault.errors import Damaged, WriterLost
from longshore.vault.holds import delete_point
from longshore.vault.points import has_point
from longshore.vault.prune import prune
from longshore.vault.recovery import recover, settle
from longshore.vault.sealing import Plain, Sealed
from longshore.vault.verify import verify
from longshore.vault.versions import is_needed
from longshore.vault.writers import beat

pytestmark = pytest.mark.long

LOCK = 20 * GRACE  # seconds: longer than a story goes on


class Story:
    def __init__(self, directory, place, seed):
        self.chance = random.Random(seed)
        self.directory = directory
        self.place = place
        self.keys = Sealed(self.chance.randbytes(32)) if seed % 2 else Plain()
        self.vault = opened(self.place, self.keys)
        self.held = {}  # what each point must hold
        self.writers = []
        self.number = 0

    def tell(self, steps):
        for _ in range(steps):
            do = self.chance.choices(
                (self.begin, self.go_on, self.finish, self.delete, self.prune, self.sleep), (3, 6, 5, 2, 4, 2)
            )[0]
            do()
        for name, content in self.held.items():
            assert holds(self.vault, name, content), name
        self.place.lists_come()
        assert all_points(self.vault) == set(self.held)
        assert verify(self.vault).faults == ()

    def dies_at(self):
        return self.chance.randrange(2, 16) if self.chance.random() < 0.4 else None

    def begin(self):
        if len(self.writers) >= 2:
            return
        self.number += 1
        backup = Backup(self.place, self.keys, self.directory, self.number, f"m{self.chance.randrange(2)}")
        if self.held and self.chance.random() < 0.7:
            backup.based_on(name := self.chance.choice(sorted(self.held)))
            backup.content, backup.safe = Content(self.held[name]), Content(self.held[name])
        elif self.held:
            backup.knowing(self.chance.choice(sorted(self.held)))
        backup.open()
        backup.vault.store.dies_at = self.dies_at()
        self.writers.append(backup)

    def go_on(self):
        for backup in self.writers:
            self.survive(backup, lambda backup=backup: self.write(backup))

    def write(self, backup):
        scribble(backup, self.chance, self.chance.randrange(1, 6))
        if self.chance.random() < 0.5:
            backup.flush()

    def finish(self):
        if self.writers:
            backup = self.chance.choice(self.writers)
            self.survive(backup, lambda: self.complete(backup))

    def complete(self, backup):
        content = Content(backup.content)
        name = backup.finish()
        self.writers.remove(backup)
        self.held[name] = content

    def survive(self, backup, do):
        """Whoever is killed goes on from his journal, or is never heard of again."""
        try:
            do()
        except (WriterLost, Damaged) as error:
            backup.close()
            self.writers.remove(backup)
            assert backup.name is None or not has_point(self.vault, backup.name)
            if isinstance(error, Damaged):  # what it is based on was pruned: it was taken for dead
                with pytest.raises(WriterLost):
                    beat(self.vault, backup.id)
        except Killed:
            backup.close()
            if backup.name is not None and has_point(self.vault, backup.name):  # it died with its point written
                self.held[backup.name] = Content(backup.content)
                self.writers.remove(backup)
            elif self.chance.random() < 0.7:
                backup.content = Content(backup.safe)
                backup.begin()
                try:
                    backup.open()
                except WriterLost:
                    self.writers.remove(backup)
            else:
                self.writers.remove(backup)

    def delete(self):
        if self.held:
            delete_point(self.vault, name := self.chance.choice(sorted(self.held)))
            del self.held[name]

    def prune(self):
        with suppress(Killed, Conflict):
            prune(opened(self.place, self.keys, self.dies_at()))

    def sleep(self):
        """All that lives gives a sign of life afterwards, or not."""
        self.place.days_pass()
        for backup in self.writers:
            if self.chance.random() < 0.7:
                with suppress(NotFound):
                    self.place.store().touch(f"writers/{backup.id}.json")

    def end(self):
        """Once nobody writes, three prunes leave nothing that no point names."""
        for backup in self.writers:
            backup.close()
        for _ in range(3):
            self.place.days_pass()
            prune(self.vault)
        assert self.left("writers") == []
        for name in list(self.held):
            delete_point(self.vault, name)
        for _ in range(3):
            self.place.days_pass()
            prune(self.vault)
        assert self.left("") == []

    def left(self, below):
        return list(self.place.store().names(below))

    def everything_comes_back(self):
        """A stranger with the vault's keys deletes all that he can, in the middle of everything."""
        versions = self.vault.store.versions
        for name, history in versions.all().items():
            versions._client.delete_object(Bucket=self.place.bucket, Key=f"v/{name}")
            for version in history.versions:
                assert versions.drop(name, version.id) is not is_needed(name)
        settle(self.vault, recover(self.place.store()))
        for backup in self.writers:  # their objects are gone: they hear that they are lost
            backup.close()
        self.writers = []

    def ends_locked(self):
        """Once all locks have ended, nothing is left, in no version."""
        for name in sorted(all_points(self.vault)):
            delete_point(self.vault, name)
        for _ in range(6):
            self.place.days_pass(LOCK)
            prune(self.vault)
        assert self.place.server.kept(self.place.url) == {}


def in_directory(tmp_path, seed):
    (tmp_path / "vault").mkdir()
    return Story(tmp_path, InDirectory(tmp_path / "vault"), seed)


@pytest.fixture
def late(s3, monkeypatch):
    """Its lists come late, until somebody waits for them; what is asked by its name doesn't. Some answers are lost."""
    monkeypatch.setattr("longshore.vault.prune.sleep", lambda _seconds: s3.lists_come())
    return s3


def in_bucket(tmp_path, s3, seed):
    s3.late = chance = random.Random(seed)
    faults = ["lost", (500, "InternalError"), (503, "SlowDown")]
    s3.fault = lambda _method, _path: chance.choice(faults) if chance.random() < 0.005 else None
    return Story(tmp_path, InBucket(s3, f"s3://vaults/{secrets.token_hex(8)}"), seed)


@pytest.mark.parametrize("seed", range(5))
def test_no_point_is_ever_lost_and_nothing_else_stays(tmp_path, seed):
    story = in_directory(tmp_path, seed)
    story.tell(60)
    story.end()
    assert not list(tmp_path.rglob(".new-*"))


@pytest.mark.parametrize("seed", range(2))
def test_no_point_in_a_bucket_is_ever_lost_and_nothing_else_stays(tmp_path, late, seed):
    story = in_bucket(tmp_path, late, seed)
    story.tell(40)
    late.late = None
    story.end()


@pytest.fixture
def locked(late):
    bucket = f"locked-{secrets.token_hex(4)}"
    late.make_bucket(bucket, locks=True)
    yield InBucket(late, f"s3://{bucket}/v", LOCK)
    late.fault = late.late = None
    late.remove_bucket(bucket)


def tell_and_attack(tmp_path, locked, seed, steps):
    locked.server.late = random.Random(seed)
    story = Story(tmp_path, locked, seed)
    story.tell(steps)
    before = dict(story.held)
    story.everything_comes_back()
    for name, content in before.items():
        assert holds(story.vault, name, content), name
    assert verify(story.vault).faults == ()
    story.held = {name: before[name] for name in before}
    for name in all_points(story.vault) - set(before):  # what the story has deleted is back, too
        delete_point(story.vault, name)
    story.tell(steps // 2)
    locked.server.late = None
    story.ends_locked()


def test_no_point_in_a_locked_bucket_is_lost_whoever_deletes_all_of_it(tmp_path, locked):
    tell_and_attack(tmp_path, locked, 1, 16)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_no_point_in_a_locked_bucket_is_lost_in_many_stories(tmp_path, locked, seed):
    tell_and_attack(tmp_path, locked, seed, 60)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 300))
def test_no_point_is_ever_lost_in_many_stories(tmp_path, seed):
    story = in_directory(tmp_path, seed)
    story.tell(150)
    story.end()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_no_point_in_a_bucket_is_ever_lost_in_many_stories(tmp_path, late, seed):
    story = in_bucket(tmp_path, late, seed)
    story.tell(100)
    late.late = None
    story.end()
