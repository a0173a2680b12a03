"""The proof that a guest has come up on the target, and what is said when there may be none."""

from collections.abc import Iterator

from longshore.model.agents import Agent
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import BootProof, LandingMode, MigrationRequest, MigrationType
from longshore.planning.guest_checks import is_unknown
from longshore.planning.hardware import likely_drivers
from longshore.planning.kinds import blocker, warning

_CHOICES = (
    "Say what shows that it is up: what its console does print (--boot-mark), a port that takes connections "
    "(--boot-port), its qemu-guest-agent (--boot-proof agent); or take it for up without proof (--boot-proof none)."
)
BOOT_NOT_PROVABLE = blocker(
    "boot-not-provable",
    "The guest is a Windows: it prints nothing on a serial console, and nothing else is to show that it is up. After "
    "--boot-timeout the move would be taken back, though the guest may be fine.",
    f"{_CHOICES} Accept this if its console does show a login prompt.",
    acceptable=True,
)
BOOT_PROOF_UNSURE = warning(
    "boot-proof-unsure",
    "The guest is neither a Linux that the source knows nor Windows: whether it prints a login prompt on a serial "
    "console isn't known, and nothing else is to show that it is up. Without one the move is taken back after "
    "--boot-timeout.",
    _CHOICES,
)
BOOT_UNPROVEN = warning(
    "boot-unproven",
    "The guest is taken for up without proof (--boot-proof none): it is enough that the server runs and that its "
    "console doesn't say that the guest has given up.",
    "See for yourself that it is up, before the source is removed.",
)
BOOT_PROOF_BY_AGENT = warning(
    "boot-proof-by-agent",
    "The guest's agent is to show that it is up (--boot-proof agent). For that the server's first volume gets the "
    "image properties hw_qemu_guest_agent=yes and os_require_quiesce=yes, and keeps them: later snapshots of the "
    "server freeze its guest, and fail while the agent is stopped.",
    "Keep the agent running in it.",
)

# With both, Nova freezes a guest through its agent for each image of its server, or fails
AGENT_PROPERTIES = {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}


def agent_properties(request: MigrationRequest) -> dict[str, str]:
    """Return the image properties of the first volume that the proof asked for needs, or the agent that the guest is
    given."""
    if request.boot_proof is BootProof.AGENT:
        return AGENT_PROPERTIES
    return {"hw_qemu_guest_agent": "yes"} if Agent.QEMU in request.agents else {}


def asks_agent(machine: Machine, request: MigrationRequest) -> bool:
    """Tell whether the guest's agent is asked: where that was chosen, or the server has what it takes from its source
    and nothing else was named as proof.

    `request` as it was settled.
    """
    named = request.boot_mark is not None or request.boot_ports
    kept = machine.freezes and request.landing is LandingMode.UNCHANGED
    return request.boot_proof is BootProof.AGENT or (kept and request.boot_proof is BootProof.AUTO and not named)


def asks_ports(request: MigrationRequest) -> bool:
    """Tell whether ports are tried. On networks that lead nowhere none is reached, and at the same addresses outside
    the machine itself may answer, which goes on running."""
    nowhere = request.type is MigrationType.DRY_RUN and request.isolated
    return bool(request.boot_ports) and request.boot_proof in (BootProof.AUTO, BootProof.PORT) and not nowhere


def restarts_at_first_boot(machine: Machine, request: MigrationRequest) -> bool:
    """A converted Windows does, once for each of virt-v2v's first-boot scripts: in between it is up, and not done.

    `request` as it was settled.
    """
    return request.landing is LandingMode.CONVERT and _family(machine) == "windows"


def boot_concerns(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    """Yield concerns about the proof. `request` as it was settled."""
    name, proof = machine.name, request.boot_proof
    if proof is BootProof.NONE:
        yield BOOT_UNPROVEN(name, f"{name} is taken for up on the target without proof, as asked.")
    if proof is BootProof.AGENT:
        yield BOOT_PROOF_BY_AGENT(
            name, f"Later snapshots of the server of {name} fail while its guest agent is stopped."
        )
    if proof not in (BootProof.AUTO, BootProof.CONSOLE) or request.boot_mark is not None:
        return
    if asks_agent(machine, request) or asks_ports(request) or machine.unreadable:
        return
    family = _family(machine)
    if family == "windows":
        text = f"Nothing would show that {name} is up: Windows prints nothing on a serial console."
        yield BOOT_NOT_PROVABLE(name, text)
    elif family == "":
        system = f" ({machine.guest_name})" if machine.guest_name else ""
        text = (
            f"Only a login prompt would show that {name} is up, and whether its system{system} prints one isn't known."
        )
        yield BOOT_PROOF_UNSURE(name, text)


def _family(machine: Machine) -> str:
    """Return the guest's family as `BootDrivers.family` has it. A server's image says more of Windows than of others:
    those have a console."""
    if machine.platform.traits.as_server:
        told = machine.disks[0].image_properties.get("os_type", "") if machine.disks else ""
        return "windows" if told.lower() == "windows" else "linux"
    return "" if is_unknown(machine.guest_id) else likely_drivers(machine).family
