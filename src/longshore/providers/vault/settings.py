"""Where a vault is; no secrets in here."""

from dataclasses import dataclass
from pathlib import Path

from longshore.errors import InvalidInput
from longshore.model.reach import Reach


@dataclass(frozen=True, slots=True)
class VaultSettings:
    directory: str  # absolute: local, or one of a file server that each worker has mounted there
    labels: tuple[str, ...] | None = None  # only workers that carry all of them use it
    reach: Reach | None = None  # never kept, and nothing is connected to

    def __post_init__(self) -> None:
        path = Path(self.directory)
        if not path.is_absolute() or ".." in path.parts or not self.directory.isprintable():
            raise InvalidInput(f"{self.directory!a} is no absolute path.", advice="Name the vault's directory in full.")
