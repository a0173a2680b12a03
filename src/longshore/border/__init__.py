"""The ways out of strangers' texts: what sources, guests, vaults and files call things, note about them, say of faults.

Such a text comes in as it is, and is data to the end. What it is written into may take a part of it for something else:
Ansible for a template, a terminal for a command. So each way out has its function in this room, and nothing goes there
without. docs/decisions/one-border.md lists them.
"""
