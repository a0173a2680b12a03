#!/bin/bash
# Pid 1 of the lab: puts its directories in place (in its own mount namespace), then reaps what others leave behind.
set -euo pipefail
here=$(dirname "$0")
. "$here/paths.sh"

hostname labhost
mount -t sysfs sysfs /sys # of the new network namespace
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/{lock,libvirt,netns,ceph}

# What the daemons insist on finding in fixed places of this root.
fixed_places() {
    local root=$1
    mkdir -p "$root"/etc/{ceph,libvirt} "$root"/var/{lib,cache,log}/libvirt
    mount --bind "$ETC/hosts" "$root/etc/hosts"
    mount --bind "$ETC/ceph" "$root/etc/ceph"
    mount --bind "$ETC/libvirt" "$root/etc/libvirt"
    mount --bind "$DATA/libvirt" "$root/var/lib/libvirt"
    mount --bind "$DATA/libvirt-cache" "$root/var/cache/libvirt"
    mount --bind "$LOG/libvirt" "$root/var/log/libvirt"
}

mkdir -p "$ETC"/{ceph,libvirt} "$DATA"/{libvirt,libvirt-cache} "$LOG/libvirt"
fixed_places ""

# Packages of another Debian lie below, and what this life of the lab writes over them above.
if [ "$SUITE" ]; then
    mkdir -p "$ROOT" "$DATA"/root/{written,work} /run/{openvswitch,ovn}
    below=$("$here/suites/build" "$SUITE")
    mount -t overlay -o "lowerdir=$below,upperdir=$DATA/root/written,workdir=$DATA/root/work" overlay "$ROOT"
    mount -t proc proc "$ROOT/proc"
    mount --rbind /sys "$ROOT/sys"
    mount --rbind /dev "$ROOT/dev"
    mount --bind /run "$ROOT/run"
    cached=$(realpath "$CACHE")
    mkdir -p "$ROOT$LAB" "$ROOT$cached"
    mount --bind "$LAB" "$ROOT$LAB"
    mount --bind "$cached" "$ROOT$cached"
    fixed_places "$ROOT"
fi

# nbdkit finds plugins in one directory only: the system's, and room for the vddk plugin.
plugins=$(nbdkit --dump-config | sed -n 's/^plugindir=//p')
cp -a "$plugins" "$RUN/nbdkit-plugins"
mount --bind "$RUN/nbdkit-plugins" "$plugins"

[ "$SUITE" ] || "$here/openstack/qemu-tb-size" # Nova of another Debian does that itself: etc-ovn

ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
touch "$RUN/holder.ready"

# A signal must not end pid 1; bash reaps orphans while it waits.
trap '' HUP INT TERM
while :; do
    sleep infinity &
    wait $! || true
done
