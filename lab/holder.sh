# The holder: one process whose net, mount, uts and pid namespaces are the lab. Source it after paths.sh.
# Everything of the lab runs in them: its 127.0.0.1, /run, /etc/ceph, /etc/libvirt, /etc/hosts and pids are its own, and
# the end of the holder (pid 1 there) is the end of all of it. Nothing has to be undone on the host.

# The holder's pid as the host sees it; fails when there is none.
holder_pid() {
    local pid start now
    read -r pid start 2>/dev/null <"$RUN/holder.pid" || return 1
    now=$(start_time "$pid") && [ "$now" = "$start" ] && echo "$pid"
}

# Start time of a process, field 22 of /proc/PID/stat.
start_time() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # the fields are to be split
    set -- ${stat##*) }
    echo "${20}"
}

# The command that runs another in the lab, as the array ENTER.
find_lab() {
    local pid
    pid=$(holder_pid) || { echo "the lab isn't running; start it with: lab/lab up" >&2; return 1; }
    ENTER=(/usr/bin/python3 -IS "$CODE/enter.py" "$pid")
}

in_lab() {
    find_lab || return 1
    "${ENTER[@]}" "$@"
}

start_holder() {
    local unshare pid
    "$CODE/detach.py" holder unshare --net --mount --uts --pid --fork --kill-child --propagation private --mount-proc \
        /bin/bash "$CODE/holder-init.sh"
    read -r unshare _ <"$RUN/daemons/holder.pid"
    rm "$RUN/daemons/holder.pid" # its pid is the host's, unlike those of the lab's daemons
    for _ in $(seq 100); do
        [ -e "$RUN/holder.ready" ] && break
        kill -0 "$unshare" 2>/dev/null || break
        sleep 0.05
    done
    if [ ! -e "$RUN/holder.ready" ]; then
        echo "the lab's namespaces could not be made (this needs root):" >&2
        tail -n 20 "$LOG/holder.log" >&2
        return 1
    fi
    pid=$(tr -d ' ' <"/proc/$unshare/task/$unshare/children")
    echo "$pid $(start_time "$pid")" >"$RUN/holder.pid"
}

# End the holder and wait until it is gone. The kernel lets pid 1 of a pid namespace go only after every other process in
# it, so nothing of the lab is left when this returns.
stop_holder() {
    local pid
    pid=$(holder_pid) || return 0
    kill -9 "$pid"
    for _ in $(seq 600); do
        holder_pid >/dev/null || return 0
        sleep 0.05
    done
    echo "the lab's processes didn't end within 30 s (holder pid $pid); look at: ps -ef --forest" >&2
    return 1
}
