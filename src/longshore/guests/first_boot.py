"""A user's scripts that run once, when a converted guest has booted on the target for the first time."""

from collections.abc import Sequence

from longshore.guests.appliance import Guest

DIRECTORY = "/usr/lib/longshore-first-boot"
UNIT = "/etc/systemd/system/longshore-first-boot.service"
_WANTED_BY = "/etc/systemd/system/multi-user.target.wants/longshore-first-boot.service"
_UNIT_TEXT = f"""[Unit]
Description=Scripts given to Longshore for the first boot on the target
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={DIRECTORY}/run
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""
# Each script is out of the way before it runs: one that reboots the guest doesn't run again and again
_RUN = f"""#!/bin/sh
for script in {DIRECTORY}/scripts/*; do
  [ -f "$script" ] || continue
  done={DIRECTORY}/done/${{script##*/}}
  mv "$script" "$done" || exit 1
  "$done" && echo "first-boot script ${{script##*/}} is done" || echo "first-boot script ${{script##*/}} failed: $?"
done
rm -f {_WANTED_BY} {UNIT}
rm -rf {DIRECTORY}
"""


def add_first_boot(guest: Guest, scripts: Sequence[str]) -> list[str]:
    """Have the guest run these scripts, in this order. One that fails is told on the console and doesn't stop others.

    Answers a sentence for what was changed, or why it couldn't be.
    """
    if not scripts:
        return []
    files = guest.files
    if guest.system.family != "linux" or not files.is_dir("/etc/systemd/system"):
        return ["The first-boot scripts were left out: only a Linux guest with systemd can be given any."]
    for directory in (f"{DIRECTORY}/scripts", f"{DIRECTORY}/done", _WANTED_BY.rpartition("/")[0]):
        files.mkdir_p(directory)
    for number, script in enumerate(scripts, 1):
        path = f"{DIRECTORY}/scripts/{number:03d}"
        text = script if script.startswith("#!") else f"#!/bin/sh\n{script}"
        files.write(path, text.encode())
        files.chmod(0o700, path)
    files.write(f"{DIRECTORY}/run", _RUN.encode())
    files.chmod(0o700, f"{DIRECTORY}/run")
    files.write(UNIT, _UNIT_TEXT.encode())
    files.ln_sf(UNIT, _WANTED_BY)
    return [f"{len(scripts)} script(s) run when the guest boots for the first time."]
