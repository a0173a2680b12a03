"""The last question to a server that was made: whether its guest is up, and what shows it."""

from collections.abc import Iterator, Sequence

from longshore.errors import BootError, NotFound
from longshore.flows.moves.bootcheck import STEADY, AgentProbe, Console, PortProbe, ProofOfBoot, wait_until_up
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.source_side import Off, require_still_off
from longshore.flows.moves.target_side import Prepared
from longshore.model.reach import Reach
from longshore.model.request import BootProof
from longshore.model.target import Owner, Port, Server
from longshore.planning import asks_agent, asks_ports, restarts_at_first_boot
from longshore.providers.contract import GuestAgent, Offers, Servers
from longshore.store import EntryState, ThingKind

WATCHED = 60.0  # seconds in which a guest that needn't prove anything may still be seen to have given up
_ASKED = "agent"  # what the ledger calls the image that Nova made when it asked the guest's agent


def find_answering(job: MoveContext, ports: list[Port]) -> list[str]:
    """Return at which addresses of its ports somebody answers before the server is made.

    It can't be the guest: the addresses may be others' where this is asked from, or be taken by somebody without the
    cloud's knowing.
    """
    if not asks_ports(job.request):
        return []
    tried = PortProbe(_permitted(job, _fixed(ports)), job.request.boot_ports, _reach(job))
    found = list(dict.fromkeys(address for address, _ in tried.answering()))
    if found:
        job.say(
            f"At {', '.join(found)} something answers already, before the server is made: an answer there won't show "
            "that the guest is up.",
            "warning",
        )
    return found


def check(  # noqa: PLR0917
    job: MoveContext, prepared: Prepared, server: Server, ports: list[Port], others: list[str], off: Off | None = None
) -> str:
    """Wait until the guest is up, and alone. Return what showed it. Raise BootError, SourceRunning.

    `others`: addresses at which something other than the guest answers.
    """
    asked = job.request
    job.phase("checking", "Waiting for the guest to show that it is up.")
    unproven = asked.boot_proof is BootProof.NONE
    patience = min(asked.boot_timeout, WATCHED) if unproven else asked.boot_timeout
    with job.clouds.target(job.record.target_id) as target:
        on_console = asked.boot_proof in (BootProof.AUTO, BootProof.CONSOLE, BootProof.NONE)
        console = Console(lambda: target.console(server.id), asked.boot_mark, proves=on_console)
        addresses = [address for address in _fixed(ports) if address not in others]
        if asks_ports(asked):
            addresses = [*_floating(target, ports), *addresses]
        further = list(_further(job, prepared, target, server, addresses))
        proof = wait_until_up(
            console,
            further,
            timeout=patience,
            raise_if_cancelled=job.raise_if_cancelled,
            steady=STEADY if restarts_at_first_boot(prepared.machine, prepared.landing.request) else 0.0,
        )
        if proof is None and unproven:
            proof = _take_for_up(job, target, server)
    if proof is None:
        raise _not_seen([console, *further], console, asked.boot_timeout)
    directory = job.directory()
    (directory / "console.log").write_text(console.text)
    if off is not None:
        require_still_off(job, off)
    job.store.migrations.stamp(job.id, "target_up_at")
    job.say("The guest is up on the target.")
    job.say(f"What shows it: {proof}.", "warning" if unproven and proof == BootProof.NONE else "information")
    return proof


def _further(
    job: MoveContext, prepared: Prepared, target: GuestAgent, server: Server, addresses: list[str]
) -> Iterator[ProofOfBoot]:
    """Yield the ways beside the console in which the guest may show that it is up."""
    asked = job.request
    if asks_agent(prepared.machine, prepared.landing.request):
        yield AgentProbe(lambda: _ask_agent(job, target, server), job.say, only=asked.boot_proof is BootProof.AGENT)
    if asks_ports(asked):
        permitted = _permitted(job, addresses)
        if refused := [address for address in addresses if address not in permitted]:
            job.say(
                f"This server doesn't connect to {', '.join(refused)} for its callers: no port is tried.", "warning"
            )
        yield PortProbe(permitted, asked.boot_ports, _reach(job))


def _ask_agent(job: MoveContext, target: GuestAgent, server: Server) -> bool:
    """Tell whether the guest's agent answers. What Nova makes for the asking is in the ledger, and goes when the
    migration is handed over or taken back."""
    entry = job.store.ledger.intend(Owner(job.id, _ASKED), job.record.target_id, ThingKind.AGENT_PROBE, server.id)
    answered = target.agent_answers(server.id, entry.owner)
    if answered:
        job.store.ledger.settle(entry.id, EntryState.MADE)
    return answered


def _take_for_up(job: MoveContext, target: Servers, server: Server) -> str:
    """Take the server for up without proof, and return that as the proof. Raise BootError when it doesn't
    run any more."""
    status = target.server(server.id).status
    if status != "ACTIVE":
        raise BootError(f"The server doesn't run any more: it is {status}.")
    return BootProof.NONE.value


def _not_seen(ways: Sequence[ProofOfBoot], console: Console, timeout: float) -> BootError:
    lacking = [way.lacking for way in ways if way.lacking]
    if not lacking:
        return BootError(
            "Nothing could show that the guest is up: there is no address of the server's at which its ports could be "
            f"tried. {console.last_words}",
            advice="Choose another proof (--boot-proof).",
        )
    return BootError(
        f"The server runs, but within {timeout:.0f} s {', '.join(lacking)}. {console.last_words}",
        advice="If it is fine all the same, say what its console shows (--boot-mark) or which of its ports answers "
        "(--boot-port), take it without proof (--boot-proof none), or allow more time (--boot-timeout).",
    )


def _fixed(ports: list[Port]) -> list[str]:
    return [address for port in ports for address in port.addresses]


def _floating(target: Offers, ports: list[Port]) -> list[str]:
    ids = {port.id for port in ports}
    try:
        return [found.address for found in target.floating_addresses() if found.port_id in ids]
    except NotFound:  # a cloud without routers
        return []


def _reach(job: MoveContext) -> Reach | None:
    return job.store.state.reach.for_servers_of(job.record.project_id)


def _permitted(job: MoveContext, addresses: Sequence[str]) -> list[str]:
    reach = _reach(job)
    return [address for address in addresses if reach is None or reach.permits(address)]
