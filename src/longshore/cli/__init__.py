"""The commands, of `longshore …` and of `openstack migration …`: arguments, words, tables and progress.

They ask the service through the client. What needs this machine alone (copy, worker, server, images of relays) is
called directly.
"""
