"""A file of code, whatever tool it is for, with what its reader has to know."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longshore.border.documents import ansible_playbook, as_json, as_yaml
from longshore.border.texts import line, shortened
from longshore.iac.heat import adopted, external, is_evaluated
from longshore.iac.tasks import playbook
from longshore.iac.tofu import tofu
from longshore.model.as_built import BuiltServer, CodeFormat

_ENDS = {CodeFormat.TOFU: ".tf", CodeFormat.HEAT: ".yaml", CodeFormat.HEAT_ADOPT: ".json", CodeFormat.ANSIBLE: ".yml"}
_HOW = {
    CodeFormat.TOFU: "Plan before you apply: it has to say 0 to add, 0 to change, 0 to destroy. What is never to be "
    "replaced has prevent_destroy; leave that there.",
    CodeFormat.HEAT: "openstack stack create -t FILE STACK makes a stack that points at these, and manages none.",
    CodeFormat.HEAT_ADOPT: "openstack stack adopt --adopt-file FILE STACK takes these over; the cloud has to have "
    "enable_stack_adopt on. Every resource is retained when its stack goes.",
    CodeFormat.ANSIBLE: "Run it with --check first: it has to say changed=0. Which cloud is meant, OS_CLOUD says.",
}
_OFF = {
    CodeFormat.TOFU: "is off, and written down so",
    CodeFormat.HEAT: "is off: Heat takes it for broken, so start it before the stack is made",
    CodeFormat.HEAT_ADOPT: "is off: start it before a check of the stack, or the next update replaces it",
    CodeFormat.ANSIBLE: "is off; the tasks say nothing of that",
}
_STEADY = ("ACTIVE", "SHUTOFF")


@dataclass(frozen=True, slots=True)
class Code:
    file_name: str
    text: str
    notes: tuple[str, ...]  # sentences on what isn't in it, and what to look after


def written(form: CodeFormat, plan: str, servers: Sequence[BuiltServer], left_out: Sequence[str] = ()) -> Code:
    """Write servers of a plan for a tool. `left_out`: machines of the plan that haven't landed."""
    notes = tuple(_notes(form, servers, left_out))
    match form:
        case CodeFormat.TOFU:
            text = tofu(servers)
        case CodeFormat.HEAT:
            text = as_yaml(external(servers))
        case CodeFormat.HEAT_ADOPT:
            text = as_json(adopted(plan, servers))
        case CodeFormat.ANSIBLE:
            text = ansible_playbook(playbook(servers))
    if form is not CodeFormat.HEAT_ADOPT:  # JSON has no comments
        text = "".join(f"# {line(one)}\n" for one in (f"What has landed of plan {plan}.", *notes)) + f"\n{text}"
    return Code(f"{plan}{_ENDS[form]}", text, notes)


def _notes(form: CodeFormat, servers: Sequence[BuiltServer], left_out: Sequence[str]) -> Iterator[str]:
    yield _HOW[form]
    yield "Secrets aren't in it: no user data, no passwords, no private keys."
    if left_out:
        yield f"Not landed, so left out: {', '.join(map(shortened, left_out))}."
    for server in servers:
        name = shortened(server.name)
        if server.status == "SHUTOFF":
            yield f"{name} {_OFF[form]}."
        elif server.status not in _STEADY:
            yield f"{name} is {server.status} now: wait until it runs or is off, and write it anew."
        if form is CodeFormat.HEAT_ADOPT and is_evaluated(server.metadata):
            yield f"{name}'s metadata isn't in it: Heat would take it for one of its functions."
        if server.group is not None:
            yield f"{name} is in the server group {shortened(server.group)}, which isn't said: that would replace it."
    if form is not CodeFormat.TOFU and any(port.floating for server in servers for port in server.ports):
        yield "Floating IPs aren't in it; they stay as they are."
