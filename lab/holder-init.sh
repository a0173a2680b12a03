#!/bin/bash
# Pid 1 of the lab: puts its directories in place (in its own mount namespace), then reaps what others leave behind.
set -euo pipefail
here=$(dirname "$0")
. "$here/paths.sh"

hostname labhost
mount -t sysfs sysfs /sys # of the new network namespace
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/{lock,libvirt,netns,ceph}

# What the daemons insist on finding in fixed places.
mkdir -p "$ETC"/{ceph,libvirt} "$DATA"/{libvirt,libvirt-cache} "$LOG/libvirt"
mount --bind "$ETC/hosts" /etc/hosts
mount --bind "$ETC/ceph" /etc/ceph
mount --bind "$ETC/libvirt" /etc/libvirt
mount --bind "$DATA/libvirt" /var/lib/libvirt
mount --bind "$DATA/libvirt-cache" /var/cache/libvirt
mount --bind "$LOG/libvirt" /var/log/libvirt

# nbdkit finds plugins in one directory only: the system's, and room for the vddk plugin.
plugins=$(nbdkit --dump-config | sed -n 's/^plugindir=//p')
cp -a "$plugins" "$RUN/nbdkit-plugins"
mount --bind "$RUN/nbdkit-plugins" "$plugins"

"$here/openstack/qemu-tb-size"

ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
touch "$RUN/holder.ready"

# A signal must not end pid 1; bash reaps orphans while it waits.
trap '' HUP INT TERM
while :; do
    sleep infinity &
    wait $! || true
done
