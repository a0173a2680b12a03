"""Kinds of concern that only plans have: about what they say, and what could not be proposed for them."""

from longshore.planning.kinds import blocker, information, warning

MACHINE_NOT_FOUND = blocker(
    "machine-not-found",
    "The source has no machine of that name, path or reference, or several of that name.",
    "Correct it in the plan; a path or a reference is always clear.",
)
VOLUME_NOT_FOUND = blocker(
    "volume-not-found",
    "The source has no volume of that name or id without a server, or several of that name.",
    "Correct it in the plan; an id is always clear. A server's volumes go with the server.",
)
MACHINE_RENAMED = blocker(
    "machine-renamed",
    "The reference in the plan is that of a machine, or volume, with another name than the plan says: it may be the "
    "wrong one.",
    "Correct the name in the plan if it was renamed, or leave out the reference if the plan is for other clouds.",
)
OPTION_REFUSED = blocker("option-refused", "An option in the plan can't be as it is.", "Correct it in the plan.")
HOOKS_NOT_INSTALLED = blocker(
    "hooks-not-installed",
    "Playbooks need Ansible and ansible-runner.",
    "Install them with Longshore: pip install longshore[engine,hooks].",
)
HOOK_MISSING = blocker(
    "hook-missing",
    "A playbook can't be read.",
    "Give its path from the root on the machine that Longshore runs on.",
)
ALREADY_MIGRATING = blocker(
    "already-migrating", "The machine is being migrated already, not by this plan.", "Let that end, or cancel it."
)
NETWORK_UNDECIDED = warning(
    "network-undecided",
    "No network of the target, or more than one, has the name, the VLAN or the guests' addresses of one at the source; "
    "or several of the source have one name.",
    "Say which one under mappings.networks, or with --network SOURCE=TARGET; SOURCE is a name, DATACENTER/NAME or a "
    "reference.",
)
FLAVOR_UNDECIDED = warning(
    "flavor-undecided",
    "No flavor of the target is large enough for some machines of the plan.",
    "Let an admin make one (--create-flavors), or name a smaller one under mappings.flavors.",
)
STORAGE_DEFAULT = information(
    "storage-default",
    "A datastore has no volume type of its name: its disks get the target's default type.",
    "Map it under mappings.storage to be sure.",
)
WORKLOAD_NOT_FOLLOWED = warning(
    "workload-not-followed",
    "OS-Migrate's file asks for something that Longshore doesn't do, or does otherwise.",
    "Look whether the machine may be moved without it.",
)
FLAVOR_MADE = information(
    "flavor-made", "A flavor was made for the plan's machines.", "It stays there until an admin removes it."
)
