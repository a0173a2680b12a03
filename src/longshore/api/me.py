"""Identity of the caller, as it goes over the wire."""

from pydantic import BaseModel, ConfigDict


class Me(BaseModel):
    """The caller, with the rules of the policy that allow them something.

    Without a server the identity is empty, and `rules` has all the rules that there are.
    """

    model_config = ConfigDict(extra="forbid")

    user_id: str
    project_id: str
    roles: list[str]
    rules: list[str]  # of the policy, those that allow the caller something
