"""Whether a guest's agent answers, as Nova's answers to the wish for an image tell it."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import requests
from openstack import exceptions as sdk

from longshore.errors import AccessDenied, NotFound, ProviderError, QuotaExceeded
from longshore.model.target import Owner
from longshore.providers.openstack.agent import Agents

OWNER = Owner("wf-1", "agent")
NAME = "longshore wf-1/agent"


def cloud(status=202, said="", *, images=(), snapshots=()):
    """One whose Nova answers like this."""
    connection = MagicMock(current_project_id="mine")
    answer = requests.Response()
    answer.status_code, answer.headers["content-type"] = status, "application/json"
    answer._content = f'{{"fault": {{"code": {status}, "message": "{said}"}}}}'.encode()
    connection.compute.post.return_value = answer
    connection.image.images.return_value = list(images)
    connection.block_storage.snapshots.return_value = list(snapshots)
    return connection


def answers(connection):
    return Agents(connection).agent_answers("s", OWNER)


@pytest.mark.parametrize(
    ("status", "said", "answered"),
    [
        (202, "", True),
        (500, "Unexpected API Error. <class 'nova.exception.InternalError'>", False),  # the agent is silent
        (500, "Unexpected API Error. <class 'oslo_messaging.exceptions.MessagingTimeout'>", False),  # it hangs
        (409, "Cannot 'createImage' instance while it is in task_state image_snapshot", False),  # asked again later
    ],
)
def test_nova_takes_an_image_on_when_the_agent_has_answered(status, said, answered):
    connection = cloud(status, said)
    assert answers(connection) is answered
    (call,) = connection.compute.post.call_args_list
    wanted = {"name": NAME, "metadata": {"longshore:owner": OWNER.tag}}
    assert (call.args, call.kwargs["json"]) == (("/servers/s/action",), {"createImage": wanted})


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (400, "QEMU guest agent is not enabled", ProviderError),
        (400, "Quiescing is not supported in instance s", ProviderError),
        (403, "Quota exceeded for resources: snapshots", QuotaExceeded),
        (403, "Policy doesn't allow os_compute_api:servers:create_image to be performed.", AccessDenied),
        (404, "Instance s could not be found.", NotFound),
    ],
)
def test_what_the_cloud_says_to_the_question_itself_is_told(status, said, error):
    with pytest.raises(error, match=said):
        answers(cloud(status, said))


def test_the_answer_to_an_earlier_run_counts_and_its_traces_go():
    ours = SimpleNamespace(id="image", name=NAME, owner_id="mine")
    others = SimpleNamespace(id="other", name=NAME, owner_id="theirs")
    named = [("snap-1", f"snapshot for {NAME}"), ("snap-2", f"snapshot for {NAME}"), ("backup", "nightly")]
    snapshots = [SimpleNamespace(id=id_, name=name) for id_, name in named]
    connection = cloud(images=[ours, others], snapshots=snapshots)
    connection.block_storage.get_snapshot.side_effect = sdk.NotFoundException
    assert answers(connection)
    connection.compute.post.assert_not_called()
    assert Agents(connection).remove_agent_probe(OWNER)
    connection.image.delete_image.assert_called_once_with("image", ignore_missing=True)
    assert [call.args for call in connection.block_storage.delete_snapshot.call_args_list] == [("snap-1",), ("snap-2",)]
    assert not Agents(cloud()).remove_agent_probe(OWNER)
