"""Files of sections in brackets, line by line: what isn't changed stays as it is written, secrets among it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass
class Section:
    name: str  # "": what stands before the first
    lines: list[str] = field(default_factory=list)  # below its head

    def values(self) -> list[tuple[str, str]]:
        found = (re.match(r"\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$", line) for line in self.lines)
        return [(one[1], one[2]) for one in found if one]

    def value(self, name: str) -> str:
        """Return a key's value; "" where it isn't set; of several the last."""
        return next((value for key, value in reversed(self.values()) if key == name), "")

    def without(self, goes: Callable[[str], bool]) -> None:
        kept = []
        for line in self.lines:
            found = re.match(r"\s*([^#;=\s][^=]*?)\s*=", line)
            if not (found and goes(found[1])):
                kept.append(line)
        self.lines = kept

    def put_first(self, lines: Iterable[str]) -> None:
        self.lines = [*lines, *self.lines]


def read_sections(text: str) -> list[Section]:
    found = [Section("")]
    for line in text.splitlines():
        if head := re.match(r"\s*\[([^]]*)\]\s*$", line):
            found.append(Section(head[1].strip()))
        else:
            found[-1].lines.append(line)
    return found


def write_sections(sections: Iterable[Section]) -> str:
    lines: list[str] = []
    for one in sections:
        lines += [f"[{one.name}]", *one.lines] if one.name else one.lines
    return "\n".join(lines) + "\n"


def the_section(sections: list[Section], name: str) -> Section:
    """Return the first section of that name; a new one at the end where there is none."""
    for one in sections:
        if one.name == name:
            return one
    if sections[-1].lines and sections[-1].lines[-1].strip():
        sections[-1].lines.append("")
    sections.append(Section(name))
    return sections[-1]
