"""The whole installation: limits, channels, who works, what a server refuses; and resources as files."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from longshore.api.channels import Channel
from longshore.api.features import Features
from longshore.api.nodes import Node
from longshore.api.operation import LeftOver, Operation, QueuedJob, Worker
from longshore.api.schemas import Limit, LimitChange
from longshore.api.tenancy import TenancyJob
from longshore.api.wall_links import MadeWallLink, WallLink
from longshore.client.calls import Calls, part


class InstallationCalls(Calls):
    """Calls about everything together."""

    # Limits

    def limits(self, *, all_projects: bool = False) -> list[Limit]:
        return self._all(Limit, "/v1/limits", lambda limit: limit.id, all_projects=all_projects)

    def set_limit(self, change: LimitChange, *, all_projects: bool = False) -> Limit:
        """Set a limit. Figures that weren't given to `change` stay as they were. `all_projects`: it counts the jobs of
        all."""
        body = change.model_dump(mode="json", exclude_unset=True)
        return self._ask(Limit, "PUT", "/v1/limits", body, all_projects=all_projects)

    def remove_limit(self, limit: str, *, all_projects: bool = False) -> None:
        self._ask(type(None), "DELETE", f"/v1/limits/{part(limit)}", all_projects=all_projects)

    # Channels

    def channels(self, *, all_projects: bool = False) -> list[Channel]:
        return self._all(Channel, "/v1/channels", lambda channel: channel.id, all_projects=all_projects)

    def channel(self, channel: str, *, all_projects: bool = False) -> Channel:
        return self._ask(Channel, "GET", f"/v1/channels/{part(channel)}", all_projects=all_projects)

    def add_channel(self, new: Mapping[str, Any]) -> Channel:
        """Make a channel. `new`: fields of NewChannel, with its secrets in clear."""
        return self._ask(Channel, "POST", "/v1/channels", dict(new))

    def change_channel(self, channel: str, change: Mapping[str, Any]) -> Channel:
        """Change a channel. `change`: fields of ChannelChange; what isn't among them stays as it was."""
        return self._ask(Channel, "PATCH", f"/v1/channels/{part(channel)}", dict(change))

    def remove_channel(self, channel: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/channels/{part(channel)}")

    def test_channel(self, channel: str, *, all_projects: bool = False) -> None:
        """Have something told by a channel at once. Raises what went wrong when its receiver hasn't taken it."""
        self._ask(type(None), "POST", f"/v1/channels/{part(channel)}/test", all_projects=all_projects)

    # Links for walls

    def wall_links(self, *, all_projects: bool = False) -> list[WallLink]:
        return self._all(WallLink, "/v1/wall-links", lambda link: link.id, all_projects=all_projects)

    def add_wall_link(self, name: str, ends_at: datetime) -> MadeWallLink:
        """Make a link that shows the project's overview. `ends_at` is in UTC, and says so."""
        body = {"name": name, "ends_at": ends_at.isoformat()}
        return self._ask(MadeWallLink, "POST", "/v1/wall-links", body)

    def remove_wall_link(self, link: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/wall-links/{part(link)}")

    # Its state

    def features(self) -> Features:
        """Return what the service offers, and what is refused there whatever one's roles."""
        return self._ask(Features, "GET", "/v1/features")

    def operation(self) -> Operation:
        return self._ask(Operation, "GET", "/v1/operation")

    def workers(self) -> list[Worker]:
        return self._ask(list[Worker], "GET", "/v1/operation/workers")

    def queue(self, *, worker: str | None = None, stranded: bool = False) -> list[QueuedJob]:
        return self._all(QueuedJob, "/v1/operation/queue", lambda job: job.id, worker=worker, stranded=stranded)

    def nodes(self) -> list[Node]:
        return self._ask(list[Node], "GET", "/v1/nodes")

    def remove_node(self, node: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/nodes/{part(node)}")

    def left_overs(self) -> list[LeftOver]:
        return self._ask(list[LeftOver], "GET", "/v1/operation/left-overs")

    # Resources as files

    def start_tenancy(self, what: str, body: Mapping[str, Any]) -> TenancyJob:
        """Start a job. `what`: exports, diffs or imports. The directory is one of the service's machine, and
        absolute."""
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/{what}", dict(body))

    def tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "GET", f"/v1/tenancy/jobs/{part(job)}")

    def stop_tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/jobs/{part(job)}/stop")
