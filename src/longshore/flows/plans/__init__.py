"""Plans before a machine of theirs is moved: whether each could be, and what a tenant's files say of them."""
