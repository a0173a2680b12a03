"""Longshore moves virtual machines into OpenStack: verified, bootable, as fast as the wire."""
