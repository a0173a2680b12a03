# One `up` or `down` at a time. Source it after paths.sh, then call `lock_lab`: the lock lasts as long as descriptor 9
# is open. Daemons must not inherit it: call what starts any with `9>&-`.
lock_lab() {
    mkdir -p "$LAB"
    chmod 711 "$LAB" # daemons that drop their rights look up paths below it
    while :; do
        exec 9>>"$LAB/lock"
        if ! flock -n 9; then
            echo "another lab command is at work on $LAB; waiting for it" >&2
            flock 9
        fi
        # `down --purge` removes the file: then this isn't the lock any more that others take.
        [ "$LAB/lock" -ef /proc/self/fd/9 ] && return
    done
}
