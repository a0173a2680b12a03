"""What is told of a server that OpenStack keeps in a form of its own."""

import base64

from openstack.compute.v2.server import Server

from longshore.providers.openstack.machines import Around, machine_of


def test_user_data_is_text_again():
    """It is asked for as text at a target: it would arrive there in base64 twice, which cloud-init doesn't know."""
    kept = base64.b64encode("#cloud-config\nhostname: wäb\n".encode()).decode()
    for told, text in ((kept, "#cloud-config\nhostname: wäb\n"), (None, None), ("H4sIAAAA/wMA", None)):
        server = Server(id="s", name="web", status="ACTIVE", flavor={"vcpus": 1, "ram": 256}, user_data=told)
        assert machine_of(server, Around()).belongings.user_data == text
