# Ceph: one monitor, one manager, one OSD on a sparse file; pools for images and volumes. Sourced by `up`.

ask_ceph() { timeout 60 ceph "$@"; }

osd_is_up() { ask_ceph osd stat | grep -q ' 1 up'; }

start_monitor() {
    local scratch=$DATA/ceph/scratch
    mkdir -p "$DATA"/ceph/{mon,mgr,osd,scratch} "$RUN/ceph"
    ceph-authtool -C "$scratch/mon.keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool -C /etc/ceph/ceph.client.admin.keyring --gen-key -n client.admin \
        --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool "$scratch/mon.keyring" --import-keyring /etc/ceph/ceph.client.admin.keyring
    monmaptool --create --fsid "$(sed -n 's/^fsid = //p' /etc/ceph/ceph.conf)" \
        --addv a '[v2:127.0.0.1:3300,v1:127.0.0.1:6789]' "$scratch/monmap"
    ceph-mon --mkfs -i a --monmap "$scratch/monmap" --keyring "$scratch/mon.keyring"
    start ceph-mon 127.0.0.1:3300 ceph-mon -i a -f
    wait_port ceph-mon 3300
}

start_manager() {
    ask_ceph auth get-or-create mgr.x mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o "$DATA/ceph/mgr/keyring"
    start ceph-mgr - ceph-mgr -i x -f
}

# `ceph osd new` and a key ring written by hand stand in for ceph-volume, which needs LVM and udev.
start_osd() {
    local uuid key
    uuid=$(</proc/sys/kernel/random/uuid)
    key=$(ceph-authtool --gen-print-key)
    echo "{\"cephx_secret\": \"$key\"}" | ask_ceph osd new "$uuid" 0 -i -
    printf '[osd.0]\n\tkey = %s\n' "$key" >"$DATA/ceph/osd/keyring"
    ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
    start ceph-osd - ceph-osd -i 0 -f
    wait_until 90 ceph-osd "the OSD to be up" osd_is_up
}

make_pools() {
    local pool
    for pool in images volumes; do
        ask_ceph osd pool create "$pool" 8 8
        ask_ceph osd pool application enable "$pool" rbd
    done
    ask_ceph auth get-or-create client.glance mon 'profile rbd' osd 'profile rbd pool=images' \
        mgr 'profile rbd pool=images' -o /etc/ceph/ceph.client.glance.keyring
    ask_ceph auth get-or-create client.cinder mon 'profile rbd' mgr 'profile rbd pool=volumes' \
        osd 'profile rbd pool=volumes, profile rbd pool=images' -o /etc/ceph/ceph.client.cinder.keyring
}

set_up_ceph() {
    start_monitor
    start_manager
    start_osd
    make_pools
}

ceph_cluster() { logged "$LOG/ceph-setup.log" set_up_ceph; }
