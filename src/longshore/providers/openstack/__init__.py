"""OpenStack as a source and a target of machines, through openstacksdk with a plain project member's rights."""
