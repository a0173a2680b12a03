"""Identity of the caller, as it goes over the wire."""

from longshore.api.schemas import Strict


class Me(Strict):
    """The caller, with the rules of the policy that allow them something.

    Without a server the identity is empty, and `rules` has all the rules that there are.
    """

    user_id: str
    project_id: str
    roles: list[str]
    rules: list[str]  # of the policy, those that allow the caller something
