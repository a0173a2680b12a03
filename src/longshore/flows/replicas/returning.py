"""Failback to a cloud: a failover's server goes back to the cloud that its machine came from, as a new server there.

    both sides looked at → volumes → server copied while it runs; again, if that took long
      → the ports of the server that it came from are freed
      → server stopped, its last changes copied → the new server booted with those ports, seen up

As far as the flow goes it is a warm migration the other way. The server that it came from can't be written to: Nova
lets nobody have the volume that a server boots from. It stays as it was, off, and without its ports while the new one
has them: no MAC can be there twice. Whatever fails before the new one is seen up takes that away, gives the ports back
and starts the failover's server again. Afterwards the replica is told which of them is wanted
(`longshore.flows.replicas.at_home`).
"""

from dataclasses import replace
from functools import partial
from typing import Any

from longshore.errors import LongshoreError
from longshore.flows.facts import gather
from longshore.flows.moves.look import Choice
from longshore.flows.moves.opened import open_volumes
from longshore.flows.moves.ports_at_home import Home, note_ports, take_ports, without_those_of
from longshore.flows.moves.source_side import check_files, without_texts
from longshore.flows.moves.syncing import SyncState
from longshore.flows.moves.target_side import Prepared
from longshore.flows.moves.warm import WarmSync
from longshore.flows.replicas.failing_back import QUICK, ROUNDS, finish
from longshore.flows.replicas.former_addresses import put_addresses_back, were_changed
from longshore.flows.replicas.way_back import find_return, machine_if_there, require_off
from longshore.model.request import LandingMode
from longshore.model.target import Owner, Port, Volume
from longshore.planning import land


class Returning(WarmSync):
    goes_back = False

    async def _forward(self) -> dict[str, Any]:
        prepared, volumes = await self._begin_volumes()
        home = await self._job.step("home", self._look_home, prepared)
        state = SyncState(prepared, volumes, [], choice=Choice(LandingMode.UNCHANGED))
        for _ in range(ROUNDS):
            sync, state = await self._sync(state)
            if sync.seconds <= QUICK:
                break
        ports = await self._job.step("ports", self._make_ports, prepared, home)
        return await self._cut_over(replace(state, ports=ports))

    # Beforehand

    def _prepare(self) -> Prepared:
        job = self._job
        job.begin_phase("preparing", f"Looking at the server of {job.record.machine_name}, and at where it came from.")
        replica = job.store.replicas.get(job.record.of)
        found = find_return(job.store, job.clouds, replica, job.request.accept, gone=job.request.new_machine)
        # The point's has marks for texts already
        machine = found.like if found.home is None else without_texts(job, found.like)
        # Several can have one name; where the server is gone its networks may have been made anew
        words = ((nic.network_ref if found.home else "") or nic.network for nic in machine.nics)
        networks = {word: word for word in words}
        asked = replace(job.request, landing=LandingMode.UNCHANGED, networks=networks)
        with job.clouds.source(job.record.source_id) as cloud:
            room = cloud.room()
        with job.clouds.target(job.record.target_id) as target:
            facts = gather(target, machine, asked, room, converts_here=True)
        if found.home is not None:
            facts = without_those_of(found.home, facts)
        prepared = self._prepared(machine, *land(machine, asked, facts))
        with job.clouds.source(job.record.source_id) as cloud:
            check_files(job, cloud, found.server.ref)
            cloud.make_ready(Owner(job.id, "read"), found.server.ref)
        return prepared

    def _look_home(self, prepared: Prepared) -> Home:
        """Return the server and its ports, and write down what they are before anything is done to them. Raise Conflict
        when it isn't off."""
        job = self._job
        ref = job.store.migrations.get(job.record.of).machine_ref
        with job.clouds.source(job.record.target_id) as source:
            home = machine_if_there(source, ref)
        if home is None:
            return Home(None, {})
        require_off(home)
        return note_ports(job, home, prepared)

    # Cutting over

    def _make_ports(self, prepared: Prepared, home: Home) -> list[Port]:
        """Return the new server's ports: those of the one that it was before, as far as that may give them away.

        Raise Conflict when that one isn't off.
        """
        job = self._job
        if home.ref is not None:
            with job.clouds.source(job.record.target_id) as source:
                require_off(source.by_reference(home.ref))
        return take_ports(job, prepared, home)

    async def _make_ready(
        self, prepared: Prepared, volumes: list[Volume], ports: list[Port], choice: Choice, *, again: str = ""
    ) -> tuple[Choice, dict[str, Any]]:
        job = self._job
        if await job.step("were-readdressed", were_changed, job):
            await job.step("put-back", put_addresses_back, job, partial(open_volumes, job, volumes))
        return await super()._make_ready(prepared, volumes, ports, choice, again=again)

    # The end

    def _fail(self, error: LongshoreError) -> None:
        """Take back what it has made: its machine still runs where it failed over to."""
        self._roll_back(error)

    def _hand_over(self, result: dict[str, Any]) -> None:
        finish(self._job, result)
        self._done(result)

    def _take_back(self) -> list[str]:
        left = super()._take_back()
        self._job.store.replicas.stays_away(self._job.record.of, self._job.id)
        return left
