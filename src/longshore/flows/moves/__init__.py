"""Moving machines, and volumes of their own, to a target: once, with syncs, as a trial, or changed later
where it has landed.
"""
