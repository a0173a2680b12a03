"""Words of the API that pages show in the viewer's language: templates translate them where they show them.

Commands and files have them as they are here: they are what one filters by.
"""

from longshore.wording.texts import marked

PHASES = (
    *(marked("queued"), marked("preparing"), marked("hook-before"), marked("making-volumes"), marked("protecting")),
    *(marked("seeding"), marked("inspecting"), marked("syncing"), marked("waiting"), marked("shutting-down")),
    *(marked("last-sync"), marked("snapshot"), marked("copying"), marked("finishing"), marked("safeguarding")),
    *(marked("converting"), marked("removing"), marked("booting"), marked("checking"), marked("hook-after")),
    *(marked("handing-over"), marked("cleaning-up"), marked("up"), marked("deploying"), marked("undoing")),
    *(marked("undone"), marked("committing"), marked("landing"), marked("gate"), marked("stopping")),
    *(marked("stopped"), marked("choosing"), marked("verifying"), marked("resources"), marked("examining")),
    *(marked("pruning"), marked("done"), marked("rolling-back"), marked("rolled-back"), marked("cancelled")),
    *(marked("parked"), marked("stranded")),
)
THINGS = (
    *(marked("source-snapshot"), marked("home-snapshot"), marked("home-port"), marked("machine")),
    *(marked("change-tracking"), marked("source-mark"), marked("network"), marked("volume")),
    *(marked("volume-snapshot"), marked("port"), marked("floating-address"), marked("led-address")),
    *(marked("server"), marked("agent-probe"), marked("frozen-application"), marked("vault-writer")),
    *(marked("relay-server"), marked("proxy"), marked("proxy-disks")),
)
ENTRIES = (marked("intended"), marked("made"), marked("handed-over"), marked("removed"), marked("left"))
POINTS = (marked("making"), marked("usable"), marked("lost"), marked("removing"), marked("gone"))
HOLDS = (marked("off"), marked("application"), marked("file systems"), marked("crash"))  # what a point holds
MACHINES = (
    *(marked("on"), marked("off"), marked("suspended"), marked("unknown")),
    *(marked("running"), marked("not-running"), marked("not-installed")),
)
LEVELS = (marked("information"), marked("warning"), marked("error"))
LANDINGS = (marked("convert"), marked("as-is"), marked("unchanged"), marked("auto"))
JOBS = (
    marked("clean-up"),
    marked("decision"),
    marked("tenant"),
    marked("mark"),
    marked("begin"),
    marked("sync"),
    marked("cutover"),
    marked("group"),
    marked("return"),
)
