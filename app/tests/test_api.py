"""The routes, as a user calls them."""

from datetime import datetime

import pytest
from addressbook_testing.service import FORM, Service


def test_create_read_change_delete_a_person(service: Service) -> None:
    created = service.put(firstName="Ada", lastName="Lovelace")
    assert created.status == 200
    assert created.headers["content-type"] == "application/json"
    ada = created.json
    assert isinstance(ada, dict)
    assert list(ada) == ["id", "firstName", "lastName", "createdAt", "updatedAt"]
    assert (ada["firstName"], ada["lastName"]) == ("Ada", "Lovelace")
    assert isinstance(ada["id"], int)
    assert datetime.fromisoformat(ada["createdAt"]).utcoffset() is not None
    assert ada["createdAt"] == ada["updatedAt"]

    path = f"/person/{ada['id']}"
    assert service.get(path).json == ada
    assert ada in service.get("/all").json  # pyright: ignore[reportOperatorIssue]

    changed = service.put(id=str(ada["id"]), firstName="Augusta Ada", lastName="King").json
    assert isinstance(changed, dict)
    assert changed["firstName"] == "Augusta Ada"
    assert changed["id"] == ada["id"]
    assert changed["createdAt"] == ada["createdAt"]
    assert changed["updatedAt"] > ada["updatedAt"]

    deleted = service.request("DELETE", path)
    assert (deleted.status, deleted.json) == (200, changed)
    for method in ("GET", "DELETE"):
        answer = service.request(method, path)
        assert (answer.status, answer.error) == (404, "There is no person with this id.")


def test_all_persons_are_sorted_oldest_first(service: Service) -> None:
    ids = [service.put(firstName=name, lastName="Order").json["id"] for name in "abc"]  # pyright: ignore
    everybody = [person["id"] for person in service.get("/all").json]  # pyright: ignore
    assert [person for person in everybody if person in ids] == ids


@pytest.mark.parametrize(
    "name", ["Žofie", "李小龍", "O'Brien", "'; DROP TABLE person; --", "a&b=c", "%41", "🙂" * 255, " a b "]
)
def test_any_unicode_name_is_preserved(service: Service, name: str) -> None:
    created = service.put(firstName=name, lastName=name).json
    assert isinstance(created, dict)
    read = service.get(f"/person/{created['id']}").json
    assert isinstance(read, dict)
    assert (read["firstName"], read["lastName"]) == (name, name)


def test_raw_utf8_form_is_accepted(service: Service) -> None:
    body = "firstName=Zoë&lastName=Ångström".encode()
    answer = service.request("PUT", "/person", body, {"Content-Type": FORM + "; charset=UTF-8"})
    assert (answer.status, answer.json["firstName"]) == (200, "Zoë")  # pyright: ignore


def test_changing_an_unknown_id_creates_nobody(service: Service) -> None:
    answer = service.put(id=str(2**63 - 1), firstName="No", lastName="Body")
    assert (answer.status, answer.error) == (404, "There is no person with this id.")
    assert service.get(f"/person/{2**63 - 1}").status == 404


def test_ready_and_live(service: Service) -> None:
    assert (service.get("/ready").status, service.get("/ready").json) == (200, {"ready": True})
    assert (service.get("/live").status, service.get("/live").json) == (200, {"live": True})


@pytest.mark.parametrize("path", ["/", "/persons", "/all/", "/person/", "/person/1/2", "/READY", "/%00"])
def test_unknown_routes_point_to_all(service: Service, path: str) -> None:
    answer = service.get(path)
    assert (answer.status, answer.error) == (404, "There is nothing here: try /all.")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/person", "PUT"),
        ("GET", "/person", "PUT"),
        ("PUT", "/person/1", "DELETE, GET, HEAD"),
        ("POST", "/all", "GET, HEAD"),
        ("DELETE", "/ready", "GET, HEAD"),
        ("OPTIONS", "/live", "GET, HEAD"),
    ],
)
def test_wrong_method_lists_the_allowed_ones(service: Service, method: str, path: str, allowed: str) -> None:
    answer = service.request(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert answer.error == f"{path} takes {allowed} only."


def test_head_has_no_body(service: Service) -> None:
    answer = service.request("HEAD", "/all")
    assert (answer.status, answer.body) == (200, b"")
