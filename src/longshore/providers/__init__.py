"""Clouds, a folder for each kind, behind the contract that flows ask (contract/); registry.py has one entry for each.

A folder knows its vendor's library and nothing of another folder. It hands out disks as NBD exports, and neither copies
nor decides. What planning has to know of a kind of cloud travels in the model, as its platform's traits.
"""
