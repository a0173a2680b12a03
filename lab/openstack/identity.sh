# Keystone: the administrator, the daemon, the catalogue. Sourced by `up`.

bootstrap() {
    OS_BOOTSTRAP_PASSWORD=$(password admin) keystone-manage "${KEYSTONE[@]}" bootstrap \
        --bootstrap-region-id RegionOne --bootstrap-public-url http://127.0.0.1:5000/v3/ \
        --bootstrap-internal-url http://127.0.0.1:5000/v3/ --bootstrap-admin-url http://127.0.0.1:5000/v3/
}

identity() {
    logged "$LOG/keystone-bootstrap.log" bootstrap
    DAEMON_ENV=(OS_KEYSTONE_CONFIG_FILES="$ETC/keystone/keystone.conf")
    start keystone http://127.0.0.1:5000/v3 uwsgi --ini "$ETC/keystone/uwsgi.ini"
    DAEMON_ENV=()
    wait_port keystone 5000
    /usr/bin/python3 "$CODE/openstack/catalogue.py"
}
