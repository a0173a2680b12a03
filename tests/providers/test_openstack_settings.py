"""Settings from clouds.yaml and OS_* variables, with the secrets kept apart."""

import os
from dataclasses import asdict

import pytest
from keystoneauth1 import loading

from longshore.errors import InvalidInput, NotFound
from longshore.providers.openstack.connection import OpenstackSettings, connect, is_secret, settings_from_cloud
from longshore.providers.openstack.target import OpenstackTarget

CLOUDS = """
clouds:
  field:
    auth:
      auth_url: https://cloud.example:5000/v3
      username: alice
      password: hunter2-from-yaml
      project_name: movers
      user_domain_name: Default
      project_domain_name: Default
    region_name: north
    interface: internal
    cacert: /etc/ssl/field.pem
  robot:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://cloud.example:5000/v3
      application_credential_id: 0123abcd
      application_credential_secret: hunter2-of-robot
    verify: false
  hollow:
    auth: {username: alice}
  client:
    auth_type: v3oauth2clientcredential
    auth:
      auth_url: https://cloud.example:5000/v3
      oauth2_endpoint: https://cloud.example:5000/v3/OS-OAUTH2/token
      oauth2_client_id: 7d1a
      oauth2_client_secret: hunter2-of-client
  front-door:
    auth: {auth_url: "https://ann:hunter2@cloud.example:5000/v3", username: alice, password: hunter2}
"""


@pytest.fixture(autouse=True)
def _clouds(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))


def test_an_entry_of_clouds_yaml_gives_settings_without_the_password():
    settings, secrets = settings_from_cloud("field")
    assert secrets == {"password": "hunter2-from-yaml"}
    assert "hunter2" not in repr(asdict(settings))
    assert settings.auth["username"] == "alice"
    assert settings.auth["auth_url"] == "https://cloud.example:5000/v3"
    assert (settings.region, settings.interface) == ("north", "internal")
    assert (settings.verify, settings.cacert) == (True, "/etc/ssl/field.pem")


def test_an_application_credential_keeps_its_type_and_its_secret_apart():
    settings, secrets = settings_from_cloud("robot")
    assert settings.auth_type == "v3applicationcredential"
    assert secrets == {"application_credential_secret": "hunter2-of-robot"}
    assert settings.auth["application_credential_id"] == "0123abcd"
    assert (settings.verify, settings.cacert) == (False, None)


def test_what_a_plugin_calls_secret_is_kept_apart():
    settings, secrets = settings_from_cloud("client")
    assert secrets == {"oauth2_client_secret": "hunter2-of-client"}
    assert settings.auth["oauth2_client_id"] == "7d1a"
    assert "hunter2" not in repr(asdict(settings))


@pytest.mark.parametrize("auth_type", sorted(loading.get_available_plugin_names()))
def test_secret_is_what_plugins_call_so_and_what_they_do_not_know(auth_type):
    options = loading.get_plugin_options(auth_type)
    secrets = {o.dest for o in options if is_secret(auth_type, o.dest, "x")}
    assert secrets == {o.dest for o in options if o.secret or o.dest == "idp_otp_key"}
    assert is_secret(auth_type, "added_by_somebody", "x")


def test_of_a_plugin_that_is_not_there_all_is_secret_but_the_address():
    assert not is_secret("v9telepathy", "auth_url", "https://cloud/v3")
    assert is_secret("v9telepathy", "username", "ann")
    assert is_secret("v3password", "username", "https://ann:hunter2@elsewhere/")


def test_an_option_that_nobody_knows_is_one_sentence(tmp_path):
    text = (tmp_path / "clouds.yaml").read_text().replace("oauth2_client_id:", "shoe_size: 44\n      oauth2_client_id:")
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(InvalidInput, match="shoe_size") as refused:
        settings_from_cloud("client")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "auth", [{"password": "hunter2"}, {"client_secret": "hunter2"}, {"auth_url": "https://ann:hunter2@cloud/v3"}]
)
def test_settings_with_a_secret_are_refused(auth):
    with pytest.raises(InvalidInput, match="settings are kept in clear") as refused:
        OpenstackSettings(auth=auth)
    assert "hunter2" not in str(refused.value)


def test_a_password_in_the_clouds_address_is_refused():
    with pytest.raises(InvalidInput, match=r"auth\.auth_url holds a secret"):
        settings_from_cloud("front-door")


def test_the_environment_serves_when_no_name_is_given(monkeypatch):
    monkeypatch.setenv("OS_AUTH_URL", "https://other.example/v3")
    monkeypatch.setenv("OS_USERNAME", "bob")
    monkeypatch.setenv("OS_PASSWORD", "hunter2-from-env")
    monkeypatch.setenv("OS_PROJECT_NAME", "movers")
    settings, secrets = settings_from_cloud(None)
    assert settings.auth["username"] == "bob"
    assert secrets == {"password": "hunter2-from-env"}


def test_an_unknown_cloud_is_said_plainly():
    with pytest.raises(NotFound, match=r"There is no cloud nowhere in clouds\.yaml"):
        settings_from_cloud("nowhere")


def test_a_cloud_without_an_address_is_refused():
    with pytest.raises(InvalidInput, match=r"Entry hollow of clouds\.yaml doesn't describe a cloud: .*auth_url"):
        settings_from_cloud("hollow")


def test_an_environment_without_a_cloud_is_refused():
    with pytest.raises(InvalidInput, match=r"The OS_.* variables don't describe a cloud"):
        settings_from_cloud(None)


def test_a_missing_password_is_said_before_anything_is_sent():
    settings, _ = settings_from_cloud("field")
    with pytest.raises(InvalidInput, match="no password for user alice"):
        OpenstackTarget(settings, {})


def test_settings_are_no_templates():
    """The SDK fills them in: one that asks for a third of a gigabyte would get it."""
    wide = OpenstackSettings(auth={"auth_url": "https://cloud:5000/v3"}, region="{interface:>3000}")
    assert connect(wide, {"password": "p"}).config.region_name == "{interface:>3000}"
