# MariaDB and the services' databases. Making the schemas takes 20 s on a quiet machine and minutes on a busy one, so a
# data directory with all of them, empty, is kept in the cache for the exact versions it was made by. Sourced by `up`.

DATABASES=(keystone:keystone glance:glance placement:placement nova:nova_api nova:nova nova:nova_cell0 neutron:neutron
    cinder:cinder) # owner:name

sql() { mariadb --no-defaults -uroot -S "$RUN/mysql.sock" "$@"; }

start_mariadb() {
    start mariadb 127.0.0.1:3306 mariadbd --no-defaults --user=root --datadir="$DATA/mysql" --socket="$RUN/mysql.sock" \
        --pid-file="$RUN/mariadbd.pid" --bind-address=127.0.0.1 --port=3306 --max-connections=500 --skip-name-resolve \
        --character-set-server=utf8mb3 --collation-server=utf8mb3_general_ci --innodb-buffer-pool-size=128M \
        --innodb-log-file-size=32M --innodb-flush-log-at-trx-commit=0 --innodb-use-native-aio=0 \
        ${SUITE:+--innodb-snapshot-isolation=OFF}
    wait_until 60 mariadb "an answer on its socket" sql -e "SELECT 1"
}

schemas_key() {
    { dpkg-query -W -f '${Package} ${Version}\n' mariadb-server-core keystone glance-api placement-api nova-api \
        neutron-rpc-server cinder-api && cat "$CODE/openstack/databases.sh"; } | sha256sum | cut -c1-16
}

# Every service's account, with this life's password.
make_accounts() {
    local owner name
    {
        for name in "${DATABASES[@]}"; do
            owner=${name%%:*} name=${name##*:}
            echo "CREATE DATABASE IF NOT EXISTS $name;"
            echo "CREATE OR REPLACE USER '$owner'@'127.0.0.1' IDENTIFIED BY '$(password "$owner")';"
        done
        for name in "${DATABASES[@]}"; do
            echo "GRANT ALL ON ${name##*:}.* TO '${name%%:*}'@'127.0.0.1';"
        done
    } | sql
}

small_schemas() {
    keystone-manage "${KEYSTONE[@]}" db_sync
    glance-manage "${GLANCE[@]}" db_sync
    placement-manage --config-file "$ETC/placement/placement.conf" db sync
    cinder-manage "${CINDER[@]}" db sync
}

# Nova's cells are templates, which Nova fills in from its own configuration: so no password is stored or shown.
large_schemas() {
    neutron-db-manage "${NEUTRON[@]}" upgrade heads
    nova-manage "${NOVA[@]}" api_db sync
    nova-manage "${NOVA[@]}" cell_v2 map_cell0 --database_connection \
        '{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0?{query}'
    nova-manage "${NOVA[@]}" cell_v2 create_cell --name cell1 \
        --transport-url '{scheme}://{username}:{password}@{hostname}:{port}/' \
        --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}'
    nova-manage "${NOVA[@]}" db sync
}

# Two lanes, for two cores.
make_schemas() {
    local small
    logged "$LOG/schemas-small.log" small_schemas &
    small=$!
    logged "$LOG/schemas-large.log" large_schemas
    wait $small
}

databases() {
    local kept
    kept=$CACHE/databases-${SUITE:-here}-$(schemas_key)
    if [ -d "$kept" ]; then
        cp -a --sparse=always "$kept" "$DATA/mysql"
        start_mariadb
        make_accounts
        return
    fi
    mkdir "$DATA/mysql"
    mariadb-install-db --no-defaults --user=root --datadir="$DATA/mysql" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user=root >"$LOG/mariadb-install.log" 2>&1
    start_mariadb
    make_accounts
    make_schemas
    sql -e "SET GLOBAL innodb_fast_shutdown = 0; SHUTDOWN"
    while alive mariadb; do sleep 0.1; done
    rm -rf "$CACHE/databases-${SUITE:-here}"-*
    cp -a --sparse=always "$DATA/mysql" "$kept.new"
    mv "$kept.new" "$kept"
    start_mariadb
}
