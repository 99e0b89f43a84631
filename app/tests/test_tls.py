"""TLS to the database: verified against the given authority and the host name."""

from collections.abc import Callable

import pytest
from addressbook_testing.certificates import Authority
from addressbook_testing.postgres import PostgresServer
from addressbook_testing.service import run_command

Environment = dict[str, str]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("addressbook tests")


@pytest.fixture
def tls_environment(own_server: Callable[..., PostgresServer], authority: Authority) -> Environment:
    """A server that only accepts TLS, with a certificate for `localhost`."""
    server = own_server(tls_only=True)
    certificate, key = authority.issue("localhost")
    for name, text in (("server.crt", certificate), ("server.key", key)):
        path = server.folder / "data" / name
        path.touch(0o600)
        path.write_text(text)
        server.give_away(path)
    server.set_option("ssl", "on")
    server.start()
    return {**server.environment, "DB_HOST": "localhost", "DB_SSL": "true"}


def ping(environment: Environment) -> tuple[int, str]:
    result = run_command("ping", environment=environment)
    return result.returncode, (result.stdout + result.stderr).split(": ", 1)[1].strip()


def test_only_a_verified_server_gets_the_password(
    tls_environment: Environment, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trusted = {**tls_environment, "DB_CA": authority.certificate}
    answers = (0, "The database answers.")
    assert ping(trusted) == answers
    assert run_command("migrate", environment=trusted).returncode == 0
    assert run_command("test", environment=trusted).returncode == 0

    code, sentence = ping({**trusted, "DB_CA": Authority("somebody else").certificate})
    assert (code, sentence.startswith("The database's certificate was refused: ")) == (1, True), sentence

    code, sentence = ping({**trusted, "DB_HOST": "127.0.0.1"})
    assert code == 1
    assert "IP address mismatch" in sentence

    code, sentence = ping(tls_environment)  # the system's authorities don't know this one
    assert (code, sentence.startswith("The database's certificate was refused: ")) == (1, True), sentence

    system = tmp_path_factory.mktemp("system") / "authorities.pem"
    system.write_text(authority.certificate)
    assert ping({**tls_environment, "SSL_CERT_FILE": str(system)}) == answers

    code, sentence = ping({**tls_environment, "DB_SSL": "false"})
    assert (code, sentence) == (
        1,
        "The database does not let the user in: see DB_USER, DB_PASSWORD and DB_SSL.",
    )


def test_server_without_tls_is_refused(database: Environment, authority: Authority) -> None:
    environment = {**database, "DB_SSL": "true", "DB_CA": authority.certificate}
    assert ping(environment) == (1, "The database offers no TLS, and DB_SSL=true demands it.")
