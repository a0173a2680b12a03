"""The sentences of events and of replicas' conditions, in the viewer's language. They are said and kept in English,
with names and figures.

The texts are those of the code that says them, with a place for each name; tests/web/test_events_in_words.py holds
that none is missing, and that none outlives its code.
"""

import re
from functools import cache

from longshore.wording.language import language
from longshore.wording.texts import _, marked

TEXTS = (
    marked("%(bytes)s bytes that were deleted are locked: a prune after their lock's end frees them."),
    marked("%(count)s kept plan(s) are copied, too."),
    marked("%(count)s point(s) are to be copied."),
    marked("%(count)s range(s) were wrong on the target and were written again."),
    marked("%(count)s sync(s) were missed; this one makes up for them."),
    marked("%(disk)s: %(why)s It is discarded, and the copy begins anew."),
    marked("%(disk)s: %(why)s It is tried again."),
    marked("%(disk)s: The checkpoint is free after %(seconds)s s: going on from it."),
    marked("%(disk)s: all of it is read and compared, from now on. %(why)s"),
    marked("%(disk)s: all of it is read and compared. %(why)s"),
    marked("%(disk)s: all of it is read and compared: nothing tells what has changed."),
    marked("%(disk)s: what has arrived of it isn't known, and all of it is copied: %(why)s"),
    marked("%(gone)s of %(all)s pack(s) are removed, %(bytes)s bytes%(more)s."),
    marked("%(gone)s of %(all)s pack(s) are removed, %(bytes)s bytes; %(count)s more may go by a prune a day later."),
    marked("%(left)s point(s) were deleted in the other vault. They aren't copied: its lock keeps them."),
    marked("%(name)s can't be looked into beforehand: %(why)s %(then)s"),
    marked("%(name)s couldn't be frozen: each of its disks is as it was at a moment of its own."),
    marked("%(name)s couldn't be marked at its source: %(why)s %(then)s"),
    marked("%(name)s doesn't shut down by itself: its power is cut."),
    marked("%(name)s has the floating IP %(address)s."),
    marked("%(name)s is gone at its source: no %(what)s of it is changed."),
    marked("%(name)s is on already."),
    marked("%(name)s is powered on again."),
    marked("%(name)s is seen powered off."),
    marked("%(name)s isn't running."),
    marked("%(name)s was frozen for it: all its disks are as they were at one moment."),
    marked("%(name)s was powered on after it had been shut down: it is copied once more."),
    marked("%(name)s was registered anew at its source: it was %(before)s, and is %(now)s now."),
    marked("%(name)s was told to boot from %(drive)s, too: the new machine has none."),
    marked("%(points)s suspect. Point %(number)s is right."),
    marked("%(tier)s is up. Its command runs: %(command)s."),
    marked("%(tier)s is up. The next one waits for %(pause)s."),
    marked("%(what)s Somebody has deleted it there."),
    marked("%(what)s failed: %(why)s"),
    marked("%(what)s may still be frozen: %(why)s That was after: %(before)s"),
    marked("%(why)s %(disk)s is read from the source anew, without the point before."),
    marked("%(why)s Each %(what)s will read and compare all of %(name)s's disks instead."),
    marked("%(why)s If this try fails, the next one will read and compare whole disks."),
    marked("%(why)s It is frozen once more for this backup."),
    marked("%(why)s It is tried again."),
    marked("%(why)s It is tried with --landing %(how)s."),
    marked("%(why)s No further tier begins."),
    marked("%(why)s Now all of %(point)s is copied, without the point before."),
    marked("%(why)s The backup begins without it."),
    marked("%(word)s is %(name)s (%(ref)s) now. It was %(before)s (%(former)s)."),
    marked("A floating IP is missing: %(why)s"),
    marked("A plan isn't copied: %(why)s"),
    marked("A proof has ended: %(good)s of %(all)s point(s) were restored and seen up."),
    marked("A run has ended: %(good)s of %(all)s machine(s) were backed up."),
    marked("A snapshot of %(name)s couldn't be removed, which is tried again: %(why)s"),
    marked("A snapshot stays at the source: the next backup asks what has changed since. To remove it: %(how)s."),
    marked("A test of its newest point begins, as every time: longshore migration show %(id)s."),
    marked("A way back would have to compare whole disks: %(why)s"),
    marked("Adopted from %(place)s, with %(count)s point(s). Its source isn't known."),
    marked(
        "After %(count)s syncs the next would still take %(takes)s, and %(downtime)s s were asked for. %(every)s "
        "Waiting: %(how)s all the same."
    ),
    marked(
        "After %(count)s syncs the next would still take %(takes)s, and %(downtime)s s were asked for. It is "
        "synchronised every %(seconds)s s. Waiting: longshore migration cutover stops the machine and ends the "
        "migration all the same."
    ),
    marked("All machines are up; they are removed at %(moment)s UTC."),
    marked("All machines were seen up. For good: longshore replica group commit %(name)s; back: undo."),
    marked("All machines were seen up.%(more)s"),
    marked("All was read and compared for point %(number)s: nothing was hidden since point %(before)s."),
    marked("An audit has found what copies lacked: %(count)s point(s) that are there may lack it, too."),
    marked("An earlier conversion was broken off: going back to the volumes' snapshots."),
    marked(
        "At %(places)s something answers already, before the server is made: an answer there won't show that the "
        "guest is up."
    ),
    marked("Booting a relay in the project, through which the volumes are reached."),
    marked("Change tracking of %(name)s is on; it was off before, and %(then)s."),
    marked("Change tracking of %(name)s is on; it was off before, and stays on."),
    marked("Change tracking of %(name)s is on; it was off before, and will be again at the end."),
    marked("Checking %(name)s: %(done)s of %(all)s GiB are read."),
    marked("Copied and verified in %(seconds)s s%(more)s."),
    marked("Copied and verified in %(seconds)s s, %(size)s MiB had changed."),
    marked("Copying %(count)s disk(s) at once."),
    marked("Copying %(what)s %(count)s disk(s) into the vault."),
    marked("Copying %(what)s."),
    marked("Copying all disks."),
    marked("Copying point %(number)s of %(all)s, %(point)s."),
    marked("Copying the last changes."),
    marked("Copying the volume."),
    marked("Copying what has changed (sync %(number)s)."),
    marked("Copying what has changed, for point %(number)s."),
    marked("Copying what hasn't arrived yet, and what has changed, for point %(number)s."),
    marked("Copying what hasn't arrived yet, and what has changed."),
    marked(
        "Disks are on NFS 3 and attached to a proxy on another host: by VMware's KB 2010953 the machine may "
        "stand still for half a minute when its snapshot is removed. A proxy on its own host avoids that."
    ),
    marked("Done."),
    marked("Freeing the ports that %(name)s had."),
    marked("Giving the guest its new addresses."),
    marked("Giving the guest the addresses back that it had before the failover."),
    marked("Giving the volume what the original has: metadata, image properties, bootable or not."),
    marked("Going back to %(name)s as it was before."),
    marked("If it doesn't boot, a further try has to compare all of its disks: %(why)s"),
    marked("It couldn't land: %(why)s"),
    marked(
        "It failed: %(why)s Waiting: longshore migration retry copies what has changed since and tries again, "
        "longshore migration cancel removes the copy."
    ),
    marked("It has kept no network configuration from before the failover, so it stays with what it has."),
    marked(
        "It is in the place of the server that it was. For good: longshore restore commit %(id)s; back: "
        "longshore restore undo %(id2)s."
    ),
    marked("It is paused %(until)s. Its points get older meanwhile."),
    marked("It is paused until %(moment)s UTC. Its points get older meanwhile."),
    marked("It is paused until it is resumed. Its points get older meanwhile."),
    marked("It runs in the machine's place. For good: longshore replica commit %(id)s; back: %(how)s."),
    marked("It runs where it came from. For good: longshore replica commit %(id)s; back: %(how)s."),
    marked("It was found at its target, and nothing more is copied to it: its points only age."),
    marked("Its checkpoint is still locked by a copy elsewhere. Waiting for that, %(seconds)s s at most."),
    marked("Its newest point is looked into: longshore migration show %(id)s."),
    marked("Keeping %(name)s as it is now."),
    marked("Keeping the guest's interface names and its way to boot."),
    marked("Kept on the target: %(things)s. Remove it with: longshore migration cleanup %(id)s."),
    marked("Logging in for what is at or becomes of %(path)s."),
    marked("Looking at %(name)s and at what the target has."),
    marked("Looking at %(name)s, as it has landed."),
    marked("Looking at %(name)s."),
    marked("Looking at point %(number)s, of %(moment)s UTC, and at what the target has."),
    marked("Looking at point %(number)s, of %(moment)s UTC."),
    marked("Looking at the plan's machines, and at where they would land."),
    marked("Looking at the point, and at %(name)s as it is."),
    marked("Looking at the server of %(name)s, and at the machine."),
    marked("Looking at the server of %(name)s, and at where it came from."),
    marked("Looking at volume %(name)s and at what the target has."),
    marked("Looking for points that the other vault hasn't got."),
    marked("Looking for what no point of the vault names."),
    marked("Looking into the disks of %(name)s: what is on them, and whether it can land."),
    marked("Looking whether all machines can land, before any is shut down."),
    marked("Looking whether it can land, before it is shut down."),
    marked("Looking whether the guest is as it was found before."),
    marked("Making %(count)s volume(s) on the target."),
    marked("Making a machine like %(name)s where that came from."),
    marked("Making the guest ready for its new hardware."),
    marked("Making the proxy %(name)s."),
    marked("Making the server on flavor %(flavor)s."),
    marked("Making the servers of %(tier)s."),
    marked("Making the servers of tier %(number)s."),
    marked("Making the volume on the target."),
    marked("No machine could be chosen: %(why)s"),
    marked("No machine could be made of its points: %(why)s"),
    marked("No machine was ever made of one of its points: a test shows whether it boots."),
    marked("No point could be proved: %(why)s"),
    marked("No rule keeps these points of %(name)s; they are deleted: %(points)s."),
    marked("No rule keeps these points of the second vault; they are deleted: %(points)s."),
    marked("Nor could the server be stopped: %(why)s"),
    marked("Nothing of it is at work: no playbook is run for its snapshot."),
    marked("Old points of %(name)s stay for now: %(why)s"),
    marked("Old points of the second vault stay for now: %(why)s"),
    marked("Point %(number)s is right, and no other was made since point %(before)s."),
    marked("Point %(number)s is usable after %(seconds)s s%(more)s (%(holds)s)."),
    marked("Point %(number)s is usable after %(seconds)s s, %(size)s MiB had changed (%(holds)s)."),
    marked("Point %(point)s is suspect. Point %(number)s is right."),
    marked("Points %(first)s to %(last)s are suspect. Point %(number)s is right."),
    marked("Powering %(name)s on where it came from."),
    marked("Reading all that the vault's points name."),
    marked("Reading everything, for point %(number)s."),
    marked("Removing the rollback points."),
    marked("Removing the server, to make it anew on other hardware. Its disks and ports stay."),
    marked("Removing what the dry run made."),
    marked("Removing what was made for the test."),
    marked("Removing what was made on the way."),
    marked("Running the playbook %(path)s."),
    marked("Server %(id)s is yours, and stays: it is off."),
    marked("Shutting %(name)s down."),
    marked("Shutting down %(tier)s: what its machines write last goes along."),
    marked("Shutting down tier %(number)s: what its machines write last goes along."),
    marked("Stopping %(name)s."),
    marked("Syncs of %(name)s will compare whole disks: %(why)s"),
    marked("Taking a snapshot of %(name)s, to look into its disks before it is shut down."),
    marked("Taking a snapshot of %(name)s: it can go back to that."),
    marked("Taking a snapshot of the volume."),
    marked("Taking back everything that was made."),
    marked("Taking one snapshot of all disks."),
    marked("Taking snapshots of the volumes before the guest is changed."),
    marked("Taking the snapshot of what is frozen."),
    marked("Taking the snapshot."),
    marked("The %(kind)s %(step)s is gone."),
    marked("The %(what)s failed: %(why)s %(next)s"),
    marked("The %(what)s of %(name)s at its source couldn't be changed: %(why)s"),
    marked("The backup of %(name)s failed: %(why)s"),
    marked("The boot order that %(name)s had couldn't be set: %(why)s"),
    marked(
        "The bucket keeps versions of what is deleted, and locks nothing: what was removed takes its room for "
        "ever. Give it a lifecycle rule that lets versions which aren't current expire."
    ),
    marked("The copy stays until you clean it up: longshore migration cleanup %(id)s."),
    marked("The copy to the second vault failed: %(why)s"),
    marked("The cutover failed: %(why)s"),
    marked("The cutover failed: %(why)s %(every)s Waiting: %(how)s, once that is mended."),
    marked(
        "The cutover failed: %(why)s It is synchronised every %(seconds)s s. Waiting: longshore migration "
        "cutover stops the machine and ends the migration, once that is mended."
    ),
    marked("The failback is committed, and syncs go on."),
    marked("The failback is undone: the server runs again, and the machine is as it was before."),
    marked(
        "The failover is committed: the server is yours. Its volumes stand on the point's snapshots, which stay "
        "as long as they do."
    ),
    marked("The failover is undone, and syncs go on."),
    marked("The failover is undone."),
    marked("The failover isn't undone: %(why)s"),
    marked("The gate after tier %(number)s is open: its command has succeeded."),
    marked("The guest is up on the target."),
    marked("The last %(count)s syncs failed: %(why)s"),
    marked("The last failover failed: %(why)s"),
    marked("The last sync failed: %(why)s"),
    marked("The last test failed: %(why)s"),
    marked("The lock of %(count)s object(s) was renewed."),
    marked("The machine was off at the newest point: that gets older, its content doesn't."),
    marked("The migration is a replica from now on. The next sync makes its first point."),
    marked("The newest usable point is %(age)s old, and %(objective)s were asked for."),
    marked(
        "The newest usable point is %(age)s old, and a sync takes %(takes)s: the next point will come after the "
        "%(objective)s that were asked for."
    ),
    marked("The playbook %(path)s is done."),
    marked("The point %(name)s is in the vault."),
    marked("The point %(point)s was deleted meanwhile."),
    marked("The proof of %(name)s's point %(point)s failed: %(why)s"),
    marked("The relay %(name)s could not be removed: %(why)s"),
    marked("The relay answers at %(address)s, after %(seconds)s s."),
    marked("The relay doesn't answer any more (%(words)s)."),
    marked("The restore is undone."),
    marked("The restore isn't undone: %(why)s"),
    marked("The server is stopped again."),
    marked("The server stays %(until)s. To remove it sooner: longshore migration cleanup %(id)s."),
    marked("The server stays until you clean it up: longshore migration cleanup %(id)s."),
    marked("The server that it was before (%(server)s) is yours, if it is still there: off, and without its ports."),
    marked(
        "The server that it was before (%(server)s) is yours: off, and without its ports. Delete it when nothing "
        "of it is needed any more."
    ),
    marked("The server was to be left off, and is on: %(why)s"),
    marked("The sync failed: %(why)s"),
    marked("The tags of %(name)s can't be read, and don't go along: %(why)s"),
    marked("The target couldn't be asked whether it still has all points: %(why)s"),
    marked("The vault %(name)s is pruned of what deleted points have left."),
    marked("The verification of the vault failed: %(why)s"),
    marked("The volumes couldn't go back to the newest point; the next sync copies all of it: %(why)s"),
    marked("The volumes couldn't go back to what was copied to them; the next sync copies all of it: %(why)s"),
    marked("The window for the cutover closed at %(moment)s UTC. %(every)s Waiting: %(how)s."),
    marked(
        "The window for the cutover closed at %(moment)s UTC. It is synchronised every %(seconds)s s. Waiting: "
        "longshore migration cutover stops the machine and ends the migration."
    ),
    marked("There is no point yet: nothing is protected."),
    marked("This server doesn't connect to %(places)s for its callers: no port is tried."),
    marked("Tier %(number)s is up. Its command runs: %(command)s."),
    marked("Tier %(number)s is up. The next one waits for %(pause)s."),
    marked("Undoing the failback."),
    marked("Undoing the failover."),
    marked("Waiting for %(name)s to come up."),
    marked("Waiting for the cutover at %(moment)s UTC. %(every)s Sooner: %(how)s."),
    marked(
        "Waiting for the cutover at %(moment)s UTC. It is synchronised every %(seconds)s s. Sooner: longshore "
        "migration cutover stops the machine and ends the migration."
    ),
    marked("Waiting for the cutover. %(every)s When you are ready: %(how)s."),
    marked(
        "Waiting for the cutover. It is synchronised every %(seconds)s s. When you are ready: longshore "
        "migration cutover stops the machine and ends the migration."
    ),
    marked("Waiting for the guest to show that it is up."),
    marked("What is on its disks is known from %(moment)s UTC, of point %(point)s."),
    marked("What shows it: %(proof)s."),
    marked(
        "What the machine was before the failback is kept, which takes room, and nothing is copied, until that "
        "is committed or undone."
    ),
    marked("What was copied stays. %(why)s"),
    marked("Whether its points can land isn't known, they couldn't be looked into: %(why)s"),
    marked("Whether the playbook %(path)s has run isn't known."),
    marked("Writing %(what)s as of %(moment)s UTC from the vault %(vault)s. The first sync then copies what differs."),
    marked("Writing back what has changed."),
    marked("vSphere exports the disks of %(name)s: they are looked into once they are copied."),
)
_PLACE = re.compile(r"%\((\w+)\)s")
_WORDS = ("kind", "holds")  # places whose words are the API's own, which pages translate
_LONGEST = 2000  # characters: what is longer has a stranger's text in it, and isn't searched for places


def event_in_words(text: str) -> str:
    """Return what an event or a condition tells; as it is where its text is of no known form, or in English."""
    return in_words(text, TEXTS)


def in_words(text: str, known: tuple[str, ...]) -> str:
    """Return a sentence in the viewer's language: as it is where it is none of the known ones, or in English."""
    if language() == "en" or len(text) > _LONGEST:
        return text
    for form, said in _forms(known):
        if found := form.fullmatch(text):
            return _(said) % {name: _(word) if name in _WORDS else word for name, word in found.groupdict().items()}
    return text


@cache
def _forms(known: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Return the texts with what they look like: the one that says most by itself comes first."""
    ordered = sorted(known, key=lambda text: len(_PLACE.sub("", text)), reverse=True)
    return [(re.compile(_form(text), re.DOTALL), text) for text in ordered]


def _form(text: str) -> str:
    parts = _PLACE.split(text)
    return "".join(f"(?P<{part}>.*?)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
