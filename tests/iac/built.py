"""Two servers as a cloud might have them, with everything that tools stumble over."""

from dataclasses import replace

from longshore.model.as_built import BuiltFloating, BuiltPort, BuiltServer, BuiltVolume

MARKS = {"longshore:owner": "m/server", "longshore:source": "vm-1"}
VOLUMES = (
    BuiltVolume("vol-0", "web-0", "", 10, "ceph", "nova", bootable=True),
    BuiltVolume("vol-1", "web-1", "the data", 20, "ceph", "nova", bootable=False),
)
FLOATING = BuiltFloating("fip-0", "192.0.2.7", "public", "10.0.0.5", "")
PORTS = (
    BuiltPort(
        *("port-0", "web-0", "longshore:owner=m/port-4000", "net-0", "00:50:56:ab:cd:0f", ("group-0",)),
        fixed=(("sub-0", "10.0.0.5"),),
        pairs=(("10.0.0.9", "00:50:56:ab:cd:0f"), ("10.0.0.10", "00:50:56:00:00:01")),
        floating=(FLOATING,),
    ),
    BuiltPort("port-1", "web-1", "", "net-1", "00:50:56:ab:cd:10", ()),
)
WEB = BuiltServer(
    id="server-0",
    name="web",
    status="ACTIVE",
    flavor="m1.small",
    key_name="ops",
    zone="nova",
    metadata={**MARKS, "team": "shop"},
    tags=("blue",),
    volumes=VOLUMES,
    ports=PORTS,
)
OFF = replace(WEB, id="server-1", status="SHUTOFF", key_name=None, tags=(), volumes=VOLUMES[:1], ports=PORTS[1:])
# What a stranger may call a machine, or note about it
DREADFUL = (
    '${file("/etc/passwd")}',
    "$${x} $$${x} $$$${x}",
    "%{ if true }x%{ endif } %%{x} %%%{x}",
    'quote " backslash \\ \\${x}',
    "two\nlines\r\n\ttab",
    "bell \a back \b form \f null \0",
    "<<EOT\nx\nEOT",
    "# comment */ // ",
    "{{ lookup('pipe', 'id') }} {% raw %} {# x",
    "- yaml: [x, {y: &a !!python/object:os.system z",
    "no",
    "00:10:20",
    "bidi \u202e \u2028 line \u0085",
    "Zürich 東京 🐋",
)
