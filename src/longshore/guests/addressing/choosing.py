"""The choice of files in a guest that have to change for its adapters to have other addresses: pure functions of their
texts."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from longshore.guests.addressing import ifcfg, ifupdown, keyfile, netplan, networkd, suse
from longshore.guests.addressing.forms import (
    Changed,
    ConfigurationForm,
    Files,
    FoundInterface,
    NotUnderstood,
    Wanted,
    of_version,
)
from longshore.guests.addressing.renumbering import renumbered
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Renumbering, several

FORMS: list[ConfigurationForm] = [netplan, ifupdown, ifcfg, suse, keyfile, networkd]
RESOLVERS, HOSTS = "/etc/resolv.conf", "/etc/hosts"
_MADE_BY = re.compile(r"(?im)^\s*#.*(?:generated|managed|written) by")
_PROBE = Addressing(ipv4="192.0.2.1/24", gateway="192.0.2.254")
_NOWHERE = "none of the files of its network configuration that are known here configures the adapter"


@dataclass
class ChosenFiles:
    changed: Changed = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # a sentence for each adapter
    unwritten: dict[str, str] = field(default_factory=dict)  # why, by the MACs that adapters have by now


@dataclass(frozen=True, slots=True)
class _Place:
    form: ConfigurationForm
    key: str


def choose(files: Files, new: NewAddresses) -> ChosenFiles:
    """`files` are all of the guest's network configuration, /etc/hosts and /etc/resolv.conf among it."""
    chosen = ChosenFiles()
    moved = renumbered(files, new.renumbering) if new.renumbering.networks else {}
    chosen.changed.update(moved)
    if moved:
        for before, after in new.renumbering.networks.items():
            chosen.said.append(f"What was in {before} is in {after} ({', '.join(sorted(moved))}).")
    texts = {**files, **moved}
    given: dict[_Place, AdapterInGuest] = {}
    for adapter in new.adapters:
        try:
            if adapter.wanted is not None:
                places = _places(files, adapter, new.adapters)
                done = _readdressed(texts, places, adapter, adapter.wanted, given)
                done.update(_beside(texts, adapter, adapter.wanted, new.renumbering))
                done = {path: text for path, text in done.items() if texts.get(path) != text}
                _apply(texts, done)
                chosen.changed.update(done)
                chosen.said.append(_sentence(adapter, done))
            elif any(new.renumbering.moved(address) for address in adapter.addresses):
                _require_known(files, adapter, new.adapters)
        except NotUnderstood as why:
            chosen.unwritten[adapter.mac] = str(why)
    return chosen


def unwritable(files: Files, adapters: Sequence[AdapterInGuest]) -> dict[str, str]:
    """Return why adapters can't be given addresses, by the MAC that each has where it comes from."""
    found = {}
    for adapter in adapters:
        try:
            for place in _places(files, adapter, adapters):
                place.form.readdressed(_of(place.form, files), place.key, _PROBE)
        except NotUnderstood as why:
            found[adapter.old_mac] = str(why)
    return found


def names_of_adapters(files: Files) -> set[str]:
    """Return the names by which the files configure adapters, where they go by neither address nor pattern."""
    names: set[str] = set()
    for form in FORMS:
        with suppress(NotUnderstood):
            found = form.interfaces(_of(form, files))
            names.update(name for one in found if one.adapter and not one.macs for name in one.names)
    return {name for name in names if not set("*?[!") & set(name)} - {"lo"}


def vlans_of(files: Files) -> tuple[str, ...]:
    """Return the names of the interfaces on VLANs that the files configure, as far as they are understood."""
    names: list[str] = []
    for form in FORMS:
        with suppress(NotUnderstood):
            names += form.vlans(_of(form, files))
    return tuple(dict.fromkeys(names))


def _apply(texts: dict[str, str], changed: Changed) -> None:
    for path, text in changed.items():
        if text is None:
            texts.pop(path, None)
        else:
            texts[path] = text


def _require_known(files: Files, adapter: AdapterInGuest, all_: Sequence[AdapterInGuest]) -> None:
    """Raise NotUnderstood for an adapter whose addresses are somewhere else than in files that are known."""
    for place in _places(files, adapter, all_):
        for one in place.form.interfaces(_of(place.form, files)):
            if one.key == place.key and (one.dhcp or set(one.addresses) & set(adapter.addresses)):
                return
    raise NotUnderstood(f"{', '.join(adapter.addresses)} is in none of the files of its network configuration")


def _readdressed(
    texts: Files, places: list[_Place], adapter: AdapterInGuest, wanted: Wanted, given: dict[_Place, AdapterInGuest]
) -> Changed:
    changed: Changed = {}
    for place in places:
        other = given.setdefault(place, adapter)
        if other is not adapter and other.wanted != wanted:
            raise NotUnderstood(f"it has one interface with the adapter {other.mac}, which is given others")
        changed.update(place.form.readdressed(_of(place.form, texts), place.key, wanted))
    return changed


def _beside(files: Files, adapter: AdapterInGuest, wanted: Wanted, rules: Renumbering) -> Changed:
    """Change what else says addresses: the guest's own name, and servers of names where nothing writes those anew."""
    if not isinstance(wanted, Addressing):
        return {}
    changed: Changed = {}
    hosts = files.get(HOSTS, "")
    for version, new in ((4, several(wanted.ipv4)), (6, several(wanted.ipv6))):
        had = [one for one in of_version(adapter.addresses, version) if not ip_address(one).is_link_local]
        old = [rules.moved(one) or one for one in had]
        if len(old) == len(new) == 1:
            host = new[0].partition("/")[0]
            hosts = re.sub(rf"(?m)^(\s*){re.escape(old[0])}(?=\s)", lambda m, host=host: m[1] + host, hosts)  # type: ignore[misc]
    if hosts != files.get(HOSTS, ""):
        changed[HOSTS] = hosts
    servers = several(wanted.dns)
    if servers and RESOLVERS in files and not _MADE_BY.search(files[RESOLVERS]):
        kept = [line for line in files[RESOLVERS].splitlines() if not re.match(r"\s*nameserver\s", line)]
        changed[RESOLVERS] = "\n".join([*kept, *(f"nameserver {one}" for one in servers)]) + "\n"
    return changed


def _of(form: ConfigurationForm, files: Files) -> dict[str, str]:
    return {path: text for path, text in files.items() if form.belongs(path)}


def _places(files: Files, adapter: AdapterInGuest, all_: Sequence[AdapterInGuest]) -> list[_Place]:
    """Finds where the addresses of its interface stand, which mostly is one place. Raises NotUnderstood."""
    places = []
    for form in FORMS:
        own = _of(form, files)
        found = form.interfaces(own)
        for one in _matching(found, adapter, all_):
            top = _highest(found, one)
            if not (top.addresses or top.dhcp) and (elsewhere := _standing(own, adapter.addresses)):
                raise NotUnderstood(f"{elsewhere} is that of an interface made on the adapter, such as a VLAN")
            place = _Place(form, top.key)
            if place not in places:
                places.append(place)
    if not places:
        raise NotUnderstood(_NOWHERE)
    return places


def _standing(files: Files, addresses: Sequence[str]) -> str:
    """Return the first of the addresses that stands anywhere in them; "" where none does."""
    words = {word for text in files.values() for word in re.findall(r"[0-9a-fA-F.:]+", text)}
    return next((one for one in addresses if one in words), "")


def _matching(
    found: list[FoundInterface], adapter: AdapterInGuest, all_: Sequence[AdapterInGuest]
) -> list[FoundInterface]:
    macs = {adapter.mac, adapter.old_mac} - {""}
    others = [one for one in all_ if one is not adapter]
    if by_mac := [one for one in found if macs & set(one.macs)]:
        return by_mac
    if by_address := [one for one in found if set(one.addresses) & set(adapter.addresses)]:
        return _alone(by_address, others)
    free = [one for one in found if one.adapter and not one.macs]
    for name in adapter.names:
        if exact := [one for one in free if name in one.names]:
            return exact
    for name in adapter.names:
        if by_pattern := [one for one in free if one.is_called(name)]:
            return _alone(by_pattern[:1], others)
    return free if not others and len(free) == 1 else []


def _alone(found: list[FoundInterface], others: Sequence[AdapterInGuest]) -> list[FoundInterface]:
    """Raise NotUnderstood where what is configured would hold for other adapters as well."""
    if others and any(one.is_pattern for one in found):
        raise NotUnderstood(f'what it has for "{found[0].names[0]}" may hold for other adapters as well')
    return found


def _highest(found: list[FoundInterface], one: FoundInterface) -> FoundInterface:
    """Return the bridge or bond that it is a part of, up to the outermost one."""
    seen = {one.key}
    while one.upper:
        above = next((other for other in found if other.key == one.upper), None)
        if above is None or above.key in seen:
            raise NotUnderstood(f"the adapter is a part of {one.upper}, which isn't configured there")
        seen.add(above.key)
        one = above
    return one


def _sentence(adapter: AdapterInGuest, changed: Changed) -> str:
    where = ", ".join(sorted(changed)) or "it has so already"
    if not isinstance(adapter.wanted, Addressing):
        return f"The interface with MAC address {adapter.mac} asks for its address by DHCP ({where})."
    has = ", ".join(_all_of(adapter.wanted))
    return f"The interface with MAC address {adapter.mac} has {has} ({where})."


def _all_of(wanted: Addressing) -> Iterator[str]:
    yield from several(wanted.ipv4)
    yield from several(wanted.ipv6)
