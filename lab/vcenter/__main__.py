"""Start the vCenter of the lab in $LONGSHORE_LAB and serve until terminated."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from .certificate import ensure_certificate, thumbprint
from .context import Context, Settings
from .disk_table import DiskTable
from .faults import FaultPlan
from .inventory import Inventory, load
from .server import VCenterServer
from .service import build_service
from .sessions import Sessions
from .sidedoor import SideDoorServer

USER = "administrator@vsphere.local"


def _password(path: Path) -> str:
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(18))
    return path.read_text().strip()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    lab = Path(os.environ["LONGSHORE_LAB"])
    etc = lab / "etc"
    certificate, key = etc / "vcenter.crt", etc / "vcenter.key"
    name = os.environ.get("LONGSHORE_VCENTER_NAME", "vcenter.lab")
    address = os.environ.get("LONGSHORE_VCENTER_ADDRESS", "127.0.0.2")
    ensure_certificate(certificate, key, name, address)
    port = int(os.environ.get("LONGSHORE_VCENTER_PORT", "443"))
    password = _password(etc / "vcenter.password")
    settings = Settings(lab, address, port, USER, password, thumbprint(certificate))
    settings.datastores.mkdir(parents=True, exist_ok=True)

    context = Context(settings)
    context.faults = FaultPlan()
    context.sessions = Sessions(context)
    context.inventory = Inventory(context)
    wanted = load(Path(__file__).with_name("inventory.yaml"))
    context.inventory.build(wanted)
    context.table = DiskTable(context)
    context.table.clear_trouble()
    context.table.write()
    build_service(context, wanted["attributes"])

    api = VCenterServer(context, certificate, key)
    side_door = SideDoorServer(context, lab / "run" / "vcenter-side.sock")
    for server in (api, side_door):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    logging.info("serving https://%s:%d for %s", address, port, USER)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
