# The OpenStack daemons other than Keystone. Sourced by `up`.

control_plane() {
    DAEMON_ENV=(OS_PLACEMENT_CONFIG_DIR="$ETC/placement")
    start placement http://127.0.0.1:8778 uwsgi --ini "$ETC/placement/uwsgi.ini"
    DAEMON_ENV=()
    mkdir -p "$DATA"/glance/{staging,tasks} "$DATA"/nova/{instances,lock} "$DATA/neutron/lock" \
        "$DATA"/cinder/{lock,conversion}
    start neutron-server http://127.0.0.1:9696 neutron-server "${NEUTRON[@]}"
    start nova-conductor - nova-conductor "${NOVA[@]}"
    start glance-api http://127.0.0.1:9292 glance-api "${GLANCE[@]}"
    start cinder-api http://127.0.0.1:8776 cinder-api "${CINDER[@]}"
    start nova-api http://127.0.0.1:8774 nova-api "${NOVA[@]}"
    start nova-scheduler - nova-scheduler "${NOVA[@]}"
    start cinder-scheduler - cinder-scheduler "${CINDER[@]}"
    start cinder-volume - cinder-volume "${CINDER[@]}"
    wait_port placement 8778
    wait_port glance-api 9292
    wait_port cinder-api 8776
    wait_port nova-api 8774
    wait_port neutron-server 9696
}

# A network outside the cloud: a veth pair, one end Neutron's physical network, the other a gateway that the lab has.
external_network() {
    ip link add external type veth peer name uplink
    ip link set external up
    ip addr add "$UPLINK.1/24" dev uplink
    ip link set uplink up
    ip route add 10.20.30.0/24 via "$UPLINK.2" # the network `private`, behind its router; see seed.py
}

compute_known() { [ "$(sql -N -e 'SELECT count(*) FROM nova.compute_nodes WHERE deleted = 0')" = 1 ]; }

compute() { start nova-compute - nova-compute --config-file "$ETC/nova/nova.conf" "$@"; }

neutron_agents() {
    local configuration=(--config-file "$ETC/neutron/neutron.conf" --config-file)
    external_network
    DAEMON_ENV=(PATH="$CODE/openstack/sbin:$PATH")
    start neutron-linuxbridge-agent - neutron-linuxbridge-agent "${configuration[@]}" \
        "$ETC/neutron/linuxbridge_agent.ini"
    DAEMON_ENV=()
    start neutron-dhcp-agent - neutron-dhcp-agent "${configuration[@]}" "$ETC/neutron/dhcp_agent.ini"
    start neutron-l3-agent - neutron-l3-agent "${configuration[@]}" "$ETC/neutron/l3_agent.ini"
}

agents() {
    if [ "$SUITE" ]; then
        compute --config-file "$ETC/nova/ovn.conf"
    else
        compute
        neutron_agents
    fi
    wait_until 120 nova-compute "the compute node in Nova's database" compute_known
    logged "$LOG/nova-discover.log" nova-manage "${NOVA[@]}" cell_v2 discover_hosts
}
