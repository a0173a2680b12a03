"""The virtual TPM of a machine. Its content stays behind in any case; see docs/decisions/virtual-tpm.md."""

from collections.abc import Iterator, Mapping

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.target import Flavor
from longshore.planning.facts import TargetFacts
from longshore.planning.kinds import warning

VTPM = warning(
    "vtpm",
    "The machine has a virtual TPM. Its content stays behind, with what the guest sealed in it: BitLocker's key, "
    "sign-ins by Windows Hello, keys and certificates of applications. A server has a TPM, new and empty, by its "
    "flavor, or where an administrator's account is told that compute nodes have it.",
    "Suspend BitLocker or have its recovery key at hand before the machine is moved. If the guest wants a TPM, name a "
    "flavor that gives one (hw:tpm_version).",
)
_OURS = {"hw_tpm_version": "2.0"}
_PREFIX = "hw_tpm_"


def has_tpm(machine: Machine) -> bool:
    return machine.devices.vtpm


def tpm_properties(machine: Machine, flavor: Flavor | None, facts: TargetFacts) -> dict[str, str]:
    """Return image properties of the volume that is booted from, which give the server a TPM; none where the flavor
    does."""
    wanted = has_tpm(machine) and flavor is not None and not flavor.tpm
    return dict(_OURS) if wanted and facts.emulates_tpm else {}


def without_tpm(properties: Mapping[str, str]) -> dict[str, str]:
    """Return properties without those for a TPM. What another cloud had says nothing of this one: a server that asks
    for a TPM in vain isn't made."""
    return {name: value for name, value in properties.items() if not name.startswith(_PREFIX)}


def tpm_concerns(machine: Machine, flavor: Flavor | None, properties: Mapping[str, str]) -> Iterator[Concern]:
    if not has_tpm(machine):
        return
    text = f"{machine.name} has a virtual TPM; what is in it stays behind"
    if flavor is None:
        yield VTPM(machine.name, f"{text}.")
    elif flavor.tpm:
        yield VTPM(machine.name, f"{text}, and flavor {flavor.name} gives the server a new, empty one.")
    elif properties:
        given = ", ".join(f"{name}={value}" for name, value in properties.items())
        yield VTPM(machine.name, f"{text}, and the image property {given} gives the server a new, empty one.")
    else:
        yield VTPM(machine.name, f"{text}, and with flavor {flavor.name} the server has none.")
