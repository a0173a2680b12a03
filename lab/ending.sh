# Daemons that a test has added to the running lab. Source it after daemons.sh.

# end NAME: with all that it has started in its session. Nothing to do when there is none.
end() {
    local pid
    if alive "$1"; then
        read -r pid _ <"$RUN/daemons/$1.pid"
        kill -9 -- "-$pid"
        for _ in $(seq 100); do
            alive "$1" || break
            sleep 0.05
        done
    fi
    rm -f "$RUN/daemons/$1".{pid,address}
}
