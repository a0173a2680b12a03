"""System calls that no program which looks at strangers' bytes has a use for, as a filter of the kernel's (seccomp(2)).

It is a list of what is refused, so what QEMU, Python or a converter may want next year needs no change here. The kernel
has had most of its holes in what is on it: ways to make namespaces and mounts, to look into other processes, to load
code into the kernel, io_uring, bpf, keys. What is newer than this list answers that there is no such call, which C
libraries take for an older kernel.

The filter is a program for the classic BPF machine (linux/filter.h) over struct seccomp_data (linux/seccomp.h).
"""

import errno
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Final

_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jump if true, jump if false, operand
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_RET|BPF_K
_EQUAL, _GREATER = 0x15, 0x25  # BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGT|BPF_K
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets of fields; of arguments the low half
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_*
_REFUSED, _UNKNOWN = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = 0x7E020000
# Which types into a terminal, and which does so on Linux' consoles
_TYPING = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (which tells the C library its interfaces). AF_VSOCK would lead to the
# hypervisor around any network namespace, AF_ALG into the kernel's ciphers
_SOCKETS = (1, 2, 10, 16)
_NEWEST = 466  # the last that this list was looked through for; 424 and up are the same everywhere

_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
}

# By /usr/include/x86_64-linux-gnu/asm/unistd_64.h and /usr/include/asm-generic/unistd.h
REFUSED: Final[Mapping[str, Mapping[str, int]]] = {
    "x86_64": {
        "ptrace": 101,
        "syslog": 103,
        "vhangup": 153,
        "modify_ldt": 154,
        "pivot_root": 155,
        "chroot": 161,
        "acct": 163,
        "settimeofday": 164,
        "mount": 165,
        "umount2": 166,
        "swapon": 167,
        "swapoff": 168,
        "reboot": 169,
        "sethostname": 170,
        "setdomainname": 171,
        "iopl": 172,
        "ioperm": 173,
        "init_module": 175,
        "delete_module": 176,
        "quotactl": 179,
        "lookup_dcookie": 212,
        "clock_settime": 227,
        "kexec_load": 246,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "migrate_pages": 256,
        "unshare": 272,
        "vmsplice": 278,
        "move_pages": 279,
        "perf_event_open": 298,
        "fanotify_init": 300,
        "open_by_handle_at": 304,
        "setns": 308,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "finit_module": 313,
        "kexec_file_load": 320,
        "bpf": 321,
        "userfaultfd": 323,
        **_EVERYWHERE,
    },
    "aarch64": {
        "lookup_dcookie": 18,
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "chroot": 51,
        "vhangup": 58,
        "quotactl": 60,
        "vmsplice": 75,
        "acct": 89,
        "unshare": 97,
        "kexec_load": 104,
        "init_module": 105,
        "delete_module": 106,
        "clock_settime": 112,
        "syslog": 116,
        "ptrace": 117,
        "reboot": 142,
        "sethostname": 161,
        "setdomainname": 162,
        "settimeofday": 170,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "swapon": 224,
        "swapoff": 225,
        "migrate_pages": 238,
        "move_pages": 239,
        "perf_event_open": 241,
        "fanotify_init": 262,
        "open_by_handle_at": 265,
        "setns": 268,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "finit_module": 273,
        "bpf": 280,
        "userfaultfd": 282,
        "kexec_file_load": 294,
        **_EVERYWHERE,
    },
}
# AUDIT_ARCH_* (linux/audit.h), and the numbers of those whose arguments decide. A kernel for 64 bits also runs programs
# of 32, whose calls have other numbers: there are none here, so they end at once
ARGUED: Final[Mapping[str, Mapping[str, int]]] = {
    "x86_64": {"architecture": 0xC000003E, "clone": 56, "ioctl": 16, "socket": 41, "socketpair": 53},
    "aarch64": {"architecture": 0xC00000B7, "clone": 220, "ioctl": 29, "socket": 198, "socketpair": 199},
}
CLONE3 = 435  # has its flags in memory, where no filter sees them; C libraries fall back to clone


def program(machine: str | None = None) -> bytes:
    """Return an array of struct sock_filter for a machine as os.uname names it, or for this one."""
    return b"".join(_INSTRUCTION.pack(*step) for step in _steps(machine or os.uname().machine))


def _steps(machine: str) -> Iterator[tuple[int, int, int, int]]:
    argued = ARGUED[machine]
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, argued["architecture"]
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    yield _EQUAL, 0, 1, CLONE3
    yield _RETURN, 0, 0, _UNKNOWN
    yield _GREATER, 0, 1, _NEWEST  # on x86-64 those of its third table (x32) as well
    yield _RETURN, 0, 0, _UNKNOWN
    for number in REFUSED[machine].values():
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _REFUSED
    # From here on each call that is looked at ends in a verdict, so that the number is loaded for the others
    yield from _judged(argued["clone"], [(_LOAD, 0, 0, _FIRST), (_AND, 0, 0, _NEW_NAMESPACES), *_unless((0,))])
    yield from _judged(argued["ioctl"], [(_LOAD, 0, 0, _SECOND), *_if(_TYPING)])
    for name in ("socket", "socketpair"):
        yield from _judged(argued[name], [(_LOAD, 0, 0, _FIRST), *_unless(_SOCKETS)])
    yield _RETURN, 0, 0, _ALLOW


def _judged(number: int, steps: list[tuple[int, int, int, int]]) -> Iterator[tuple[int, int, int, int]]:
    yield _EQUAL, 0, len(steps), number
    yield from steps


def _if(values: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the steps that refuse a call for these values and allow it for others."""
    for value in values:
        yield _EQUAL, 0, 1, value
        yield _RETURN, 0, 0, _REFUSED
    yield _RETURN, 0, 0, _ALLOW


def _unless(values: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the steps that allow a call for these values and refuse it for others."""
    for value in values:
        yield _EQUAL, 0, 1, value
        yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _REFUSED
