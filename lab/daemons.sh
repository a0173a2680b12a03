# Daemons of the lab. Source it after paths.sh, inside the namespaces.

# start NAME ADDRESS COMMAND...: a daemon with a clean environment; ADDRESS is what `status` shows. See detach.py.
start() {
    local name=$1 address=$2
    shift 2
    echo "$address" >"$RUN/daemons/$name.address"
    env -i PATH="$PATH" HOME="$RUN/home" TMPDIR="$RUN/tmp" LANG=C.UTF-8 LONGSHORE_LAB="$LAB" \
        PYTHONDONTWRITEBYTECODE=1 "${DAEMON_ENV[@]}" \
        "$CODE/detach.py" "$name" "$@"
}
DAEMON_ENV=()

# alive NAME: the very process that was started still runs (and isn't a zombie).
alive() {
    local pid start stat
    read -r pid start 2>/dev/null <"$RUN/daemons/$1.pid" || return 1
    read -r stat 2>/dev/null <"/proc/$pid/stat" || return 1
    # shellcheck disable=SC2086 # the fields are to be split
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "${20}" = "$start" ]
}

# wait_until SECONDS NAME WHAT COMMAND...: poll COMMAND until it succeeds. NAME's death or a timeout is a failure, and
# shows the end of its log.
wait_until() {
    local end=$((SECONDS + $1)) name=$2 what=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ! alive "$name"; then
            echo "$name died while waiting for: $what" >&2
        elif ((SECONDS >= end)); then
            echo "$name runs, but not in time: $what" >&2
        else
            sleep 0.3
            continue
        fi
        last_words "$name"
        return 1
    done
}

last_words() {
    echo "--- last lines of $LOG/$1.log" >&2
    tail -n 25 "$LOG/$1.log" >&2
}

# Every daemon that was started is still there.
all_alive() {
    local file name status=0
    for file in "$RUN"/daemons/*.pid; do
        name=$(basename "$file" .pid)
        if ! alive "$name"; then
            echo "$name died" >&2
            last_words "$name"
            status=1
        fi
    done
    return $status
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_port NAME PORT
wait_port() { wait_until 180 "$1" "an answer on port $2" listens "$2"; }
