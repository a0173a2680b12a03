"""Longshore's pages inside Horizon. They are made by Longshore's server; what is here fetches, checks and frames them.

Nothing is imported but what Horizon has: Django, requests, and Horizon itself.
"""
