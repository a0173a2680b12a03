# Open vSwitch in user space (this machine's kernel has no module for it) and OVN, one chassis. Sourced by `up`.

is_socket() { [ -S "$1" ]; }

start_database() { # NAME FILE SOCKET SCHEMA
    ovsdb-tool create "$2" "$4"
    start "$1" "unix:$3" ovsdb-server "$2" --remote="punix:$3" --unixctl="${3%.sock}.ctl" -vconsole:warn
    wait_until 30 "$1" "its socket" is_socket "$3"
}

set_up_networking() {
    mkdir -p "$DATA/ovs"
    start_database ovsdb "$DATA/ovs/conf.db" /run/openvswitch/db.sock /usr/share/openvswitch/vswitch.ovsschema
    start_database ovn-nb "$DATA/ovs/ovnnb.db" /run/ovn/ovnnb_db.sock /usr/share/ovn/ovn-nb.ovsschema
    start_database ovn-sb "$DATA/ovs/ovnsb.db" /run/ovn/ovnsb_db.sock /usr/share/ovn/ovn-sb.ovsschema
    # Without userspace-tso guests answer pings, but no TCP
    ovs-vsctl --no-wait -- init -- set Open_vSwitch . external_ids:system-id=labhost external_ids:hostname=labhost \
        external_ids:ovn-remote=unix:/run/ovn/ovnsb_db.sock external_ids:ovn-encap-type=geneve \
        external_ids:ovn-encap-ip=127.0.0.1 external_ids:ovn-bridge-datapath-type=netdev \
        external_ids:ovn-bridge-mappings=external:br-ex external_ids:ovn-cms-options=enable-chassis-as-gw \
        external_ids:ovn-monitor-all=true other_config:userspace-tso-enable=true
    start ovs-vswitchd - ovs-vswitchd unix:/run/openvswitch/db.sock --disable-system -vconsole:warn
    external_network
    ovs-vsctl --timeout=30 -- add-br br-int -- set Bridge br-int datapath_type=netdev fail-mode=secure \
        other_config:disable-in-band=true \
        -- add-br br-ex -- set Bridge br-ex datapath_type=netdev -- add-port br-ex external
    start ovn-northd - ovn-northd --ovnnb-db=unix:/run/ovn/ovnnb_db.sock --ovnsb-db=unix:/run/ovn/ovnsb_db.sock \
        -vconsole:warn
    start ovn-controller - ovn-controller unix:/run/openvswitch/db.sock -vconsole:warn
}

networking() { logged "$LOG/networking-setup.log" set_up_networking; }
