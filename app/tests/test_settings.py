"""Settings: every error is listed at once, and no secret is shown."""

import ssl

import pytest
from addressbook_testing.certificates import Authority
from addressbook_testing.service import run_command

from addressbook.settings import Settings, SettingsError

DATABASE = {"DB_HOST": "db", "DB_SCHEMA": "demo", "DB_USER": "demouser", "DB_PASSWORD": "s3cret"}


def errors(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.read(environment)
    return caught.value.errors


def test_defaults() -> None:
    settings = Settings.read(DATABASE)
    assert (settings.port, settings.metrics_port, settings.database.port) == (3000, 9464, 5432)
    assert settings.database.tls is None
    assert (settings.environment, settings.drain_seconds, settings.pool_size) == ("development", 10, 4)


def test_empty_means_unset() -> None:
    names = ("PORT", "METRICS_PORT", "DB_PORT", "DB_SSL", "DB_CA", "LOG_LEVEL", "NODE_ENV", "VERSION")
    assert Settings.read({**DATABASE, **dict.fromkeys(names, "")}) == Settings.read(DATABASE)


def test_every_error_is_listed_at_once() -> None:
    environment = {
        "DB_POOL_SIZE": "1",
        "DB_PORT": "0",
        "DB_SSL": "yes",
        "PORT": "http",
        "DRAIN_SECONDS": "-1",
        "LOG_LEVEL": "LOUD",
    }
    assert sorted(errors(environment)) == [
        "DB_HOST is not set",
        "DB_PASSWORD is not set",
        "DB_POOL_SIZE is '1', not a whole number from 2 to 100",
        "DB_PORT is '0', not a whole number from 1 to 65535",
        "DB_SCHEMA is not set",
        "DB_SSL is 'yes', not one of true, false",
        "DB_USER is not set",
        "DRAIN_SECONDS is '-1', not a whole number from 0 to 600",
        "LOG_LEVEL is 'LOUD', not one of DEBUG, INFO, WARNING, ERROR",
        "PORT is 'http', not a whole number from 1 to 65535",
    ]


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ({"PORT": "9464"}, "PORT and METRICS_PORT are both 9464: give each its own"),
        ({"DB_CA": Authority("x").certificate}, "DB_CA is set but DB_SSL is not true"),
        ({"DB_SSL": "true", "DB_CA": "not a certificate"}, "DB_CA has no PEM certificate"),
        (
            {"DB_SSL": "true", "DB_CA": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "DB_CA has no PEM certificate",
        ),
        ({"DB_SSL": "true", "DB_CA": "Žofie"}, "DB_CA has no PEM certificate"),
        ({"DB_PASSWORD": "a\0b"}, "DB_PASSWORD contains a NUL"),
    ],
)
def test_invalid_settings(extra: dict[str, str], fault: str) -> None:
    (found,) = errors({**DATABASE, **extra})
    assert found.startswith(fault)


def test_ca_bundle_may_contain_comments() -> None:
    bundle = f"# Főtanúsítvány\n{Authority('one').certificate}\n# zwei\n{Authority('two').certificate}"
    tls = Settings.read({**DATABASE, "DB_SSL": "true", "DB_CA": bundle}).database.tls
    assert tls is not None
    assert len(tls.get_ca_certs()) == 2
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_repr_shows_no_secret() -> None:
    assert "s3cret" not in repr(Settings.read(DATABASE))


@pytest.mark.parametrize("command", ["serve", "ping", "migrate", "test"])
def test_invalid_settings_exit_with_2(command: str) -> None:
    environment = {**DATABASE, "DB_HOST": "", "DB_SSL": "true", "DB_CA": "rubbish"}
    result = run_command(command, environment=environment)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "Invalid environment: DB_HOST is not set; "
        "DB_CA has no PEM certificate: give the text of the database's CA certificate.\n"
    )


@pytest.mark.parametrize("command", [[], ["serve"], ["ping"], ["migrate"], ["test"]])
def test_help_has_an_example(command: list[str]) -> None:
    result = run_command(*command, "--help", environment={})
    assert (result.returncode, result.stderr) == (0, "")
    assert "\nexample:\n" in result.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["migrate", "--wait", "soon"], ["migrate", "--wait", "nan"]]
)
def test_invalid_arguments_exit_with_2(arguments: list[str]) -> None:
    result = run_command(*arguments, environment=DATABASE)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
