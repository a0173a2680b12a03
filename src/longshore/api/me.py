"""Who asks, as it goes over the wire."""

from pydantic import BaseModel, ConfigDict


class Me(BaseModel):
    """What the caller may do. Without a server all is empty but the rules, and those are all that there are."""

    model_config = ConfigDict(extra="forbid")

    user_id: str
    project_id: str
    roles: list[str]
    rules: list[str]  # of the policy, those that allow the caller something
