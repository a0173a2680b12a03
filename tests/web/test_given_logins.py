"""Log-ins as clouds give them out are read, and nothing else that such a file may say."""

import pytest

from longshore.errors import InvalidInput
from longshore.web.given_logins import given_login

# As Horizon writes it
OPENRC = """#!/usr/bin/env bash
export OS_AUTH_URL=https://cloud.example:5000/v3
export OS_PROJECT_ID=4f2a
export OS_PROJECT_NAME="the shop"
export OS_USER_DOMAIN_NAME="Default"
export OS_PROJECT_DOMAIN_ID="default"
unset OS_TENANT_ID
export OS_USERNAME="ann"
echo "Please enter your OpenStack Password for project $OS_PROJECT_NAME as user $OS_USERNAME: "
read -sr OS_PASSWORD_INPUT
export OS_PASSWORD=$OS_PASSWORD_INPUT
export OS_REGION_NAME="north"
export OS_CACERT=/etc/passwd
"""
ONE = """
clouds:
  shop:
    auth_type: v3applicationcredential
    profile: https://elsewhere.example/
    auth: {auth_url: "https://cloud.example:5000/v3", application_credential_id: 1f, application_credential_secret: s3}
    cacert: /etc/passwd
"""
TWO = ONE + "  other:\n    auth: {auth_url: 'https://other.example/v3', username: bob, password: pw, project_name: x}\n"


def test_an_openrc_file_is_read_and_its_password_is_asked_for():
    given = given_login(OPENRC, "", "typed")
    assert given.settings == {
        "auth": {
            "auth_url": "https://cloud.example:5000/v3",
            "user_domain_name": "Default",
            "project_domain_id": "default",
            "username": "ann",
            "project_name": "the shop",
            "project_id": "4f2a",
        },
        "auth_type": "password",
        "region": "north",
    }
    assert given.secrets == {"password": "typed"}
    with pytest.raises(InvalidInput, match="has no password") as refused:
        given_login(OPENRC, "", "")
    assert refused.value.field == "given_password"


def test_the_only_cloud_of_a_clouds_yaml_is_meant_and_one_of_several_is_named():
    only = given_login(ONE, "", "")
    auth = {"auth_url": "https://cloud.example:5000/v3", "application_credential_id": "1f"}
    assert only.settings == {"auth": auth, "auth_type": "v3applicationcredential"}
    assert only.secrets == {"application_credential_secret": "s3"}
    other = given_login(TWO, "other", "")
    assert (other.settings["auth"]["username"], other.secrets) == ("bob", {"password": "pw"})
    with pytest.raises(InvalidInput) as refused:
        given_login(TWO, "", "")
    assert refused.value.field == "given_entry"


@pytest.mark.parametrize("text", ["", "hello", "clouds: 3", "clouds: {a: }", "a: [", "export OS_AUTH_URL='", ONE[:60]])
def test_anything_else_is_refused_at_its_field(text):
    with pytest.raises(InvalidInput) as refused:
        given_login(text, "", "pw")
    assert refused.value.field == "given"
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("written", ["0123", "1_000", "12:30:45", "1.10", "no", "2024-01-01", "0x1F"])
def test_a_password_is_what_is_written_and_not_what_yaml_makes_of_it(written):
    """0123 is 83 to YAML, 12:30:45 a number of seconds, no is false: nobody who chose them means that."""
    text = TWO.replace("password: pw", f"password: {written}").replace("project_name: x", f"project_name: {written}")
    given = given_login(text, "other", "")
    assert given.secrets == {"password": written}
    assert given.settings["auth"]["project_name"] == written


def test_what_is_null_is_not_said():
    with pytest.raises(InvalidInput, match="has no password"):
        given_login(TWO.replace("password: pw", "password: ~"), "other", "")


def test_endpoints_are_those_that_the_file_asks_for():
    """gophercloud/utils#182, kubernetes/cloud-provider-openstack#2091: dropped without a word, other services are
    asked than those that can be reached."""
    own = "    interface: internalURL\n    network_endpoint_override: https://by-the-proxy.example/network\n"
    given = given_login(TWO + own, "other", "")
    assert given.settings["interface"] == "internal"
    assert given.settings["services"] == {"network_endpoint_override": "https://by-the-proxy.example/network"}
    assert given_login(f"{OPENRC}export OS_INTERFACE=admin\n", "", "pw").settings["interface"] == "admin"
    with pytest.raises(InvalidInput, match="of a kind that no cloud has"):
        given_login(f"{OPENRC}export OS_INTERFACE=here\n", "", "pw")


def test_what_a_shell_leaves_as_it_is_and_what_an_editor_puts_before_the_text():
    text = OPENRC.replace("$OS_PASSWORD_INPUT", """'pa$$w"ord'""")
    assert given_login(f"\ufeff{text}", "", "").secrets == {"password": 'pa$$w"ord'}
    assert given_login("\ufeffexport OS_AUTH_URL=https://c/v3\nexport OS_USERNAME=ann\n", "", "pw").secrets
