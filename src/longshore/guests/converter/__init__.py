"""The converter: a Debian of its own, below one directory, in which all work on guests runs.

virt-v2v, libguestfs, QEMU and a kernel come with it, so the machine's own are of no matter. docs/decisions/converter.md
says why.
"""
