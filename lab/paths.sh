# Where the lab lives, and the environment of everything that runs in it. Source it.
LAB=$(realpath -m "${LONGSHORE_LAB:-/var/lib/longshore-lab}")
export LONGSHORE_LAB=$LAB
CACHE=$LAB/cache # expensive built things, keyed by what they were built from; survives `down`
ETC=$LAB/etc     # one life of the lab: configuration and passwords (0700)
RUN=$LAB/run     #   pids, sockets
LOG=$LAB/log     #   a file per daemon
DATA=$LAB/data   #   databases, Ceph, disks
CODE=$LAB/code   # a copy of lab/ that the running lab uses, so that it doesn't depend on the clone that started it

# Whose packages the cloud is made of: this machine's, or those of another Debian, in a root that is seen at ROOT.
SUITE=${SUITE:-}
ROOT=$RUN/root
export SUITE

# The network outside of a cloud, where its floating addresses are: another one for each, so that a way leads to all of them
case $LAB in
    */clouds/two) UPLINK=172.24.5 ;;
    */clouds/today) UPLINK=172.24.6 ;;
    *) UPLINK=172.24.4 ;;
esac
export UPLINK

# No pyenv shims and no virtual environments: Debian's OpenStack needs Debian's Python.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY

export OS_CLIENT_CONFIG_FILE=$ETC/clouds.yaml
# libguestfs inside the lab: no libvirt of its own, and never the host's KVM.
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg
