"""Backups, deletions and prunes in any order, with two writers, kills at any change, and writers that sleep too long,
beside a model that simply keeps what each point must hold."""

import random
import secrets
from contextlib import suppress

import pytest
from small_vault import Backup, Content, InBucket, InDirectory, Killed, all_points, holds, opened, scribble

from longshore.errors import Conflict, NotFound
from longshore.vault.errors import Damaged, WriterLost
from longshore.vault.holds import delete_point
from longshore.vault.points import has_point
from longshore.vault.prune import prune
from longshore.vault.sealing import Plain, Sealed
from longshore.vault.verify import verify
from longshore.vault.writers import beat


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
