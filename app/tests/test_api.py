"""The routes, as a user calls them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import asyncpg
import pytest
from addressbook_testing.service import FORM, Service, run_command

from addressbook.api import PAGE_SIZE, Api
from addressbook.openapi import OPERATIONS
from addressbook.persons import Persons
from addressbook.readiness import Readiness

Sql = Callable[..., list[asyncpg.Record]]


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


def test_unknown_id_creates_that_person(service: Service) -> None:
    first = service.put(firstName="First", lastName="Person").json["id"]  # pyright: ignore
    for chosen in (first + 1, first + 1000):
        created = service.put(id=str(chosen), firstName="Chosen", lastName="Id")
        assert (created.status, created.json["id"]) == (200, chosen)  # pyright: ignore
        assert created.json["createdAt"] == created.json["updatedAt"]  # pyright: ignore
        assert service.get(f"/person/{chosen}").json == created.json
        changed = service.put(id=str(chosen), firstName="Changed", lastName="Id").json
        assert changed["firstName"] == "Changed"  # pyright: ignore
        following = service.put(firstName="Next", lastName="Id").json["id"]  # pyright: ignore
        assert following == chosen + 1


def test_unused_smaller_id_does_not_move_the_sequence(service: Service) -> None:
    first = service.put(firstName="First", lastName="Person").json["id"]  # pyright: ignore
    service.request("DELETE", f"/person/{first}")
    assert service.put(id=str(first), firstName="Again", lastName="Here").status == 200
    assert service.put(firstName="Next", lastName="Id").json["id"] == first + 1  # pyright: ignore


def test_first_person_may_have_a_chosen_id(
    empty_database: dict[str, str], start_service: Callable[..., Service]
) -> None:
    assert run_command("migrate", environment=empty_database).returncode == 0
    service = start_service(empty_database)
    service.wait_until("/ready")
    ids = [service.put(id="1", firstName="A", lastName="B"), service.put(firstName="C", lastName="D")]
    assert [answer.json["id"] for answer in ids] == [1, 2]  # pyright: ignore


def test_chosen_ids_leave_room_for_the_sequence(service: Service) -> None:
    answer = service.put(id=str(2**52 + 1), firstName="No", lastName="Body")
    assert (answer.status, answer.error) == (400, "A new person's id must be at most 4503599627370496.")
    assert service.get(f"/person/{2**52 + 1}").status == 404


def test_new_and_chosen_ids_do_not_collide_under_load(service: Service) -> None:
    start: int = service.put(firstName="Start", lastName="Here").json["id"]  # pyright: ignore

    def create(number: int) -> int:
        chosen = {"id": str(start + number)} if number % 3 == 0 else {}
        answer = service.put(**chosen, firstName=f"n{number}", lastName="Load")
        return answer.status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(create, range(1, 121))) == {200}


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=", "after=x", f"after={2**63}"])
def test_bad_limits_are_refused(service: Service, query: str) -> None:
    answer = service.get(f"/all?{query}")
    assert answer.status == 400
    assert "must be a whole number from" in answer.error


def test_limit_and_after_page_through_everybody(service: Service, sql: Sql) -> None:
    names = ", ".join(f"('n{number}', 'Page')" for number in range(2 * PAGE_SIZE + 5))
    sql(service.environment, f"INSERT INTO person (first_name, last_name) VALUES {names}")  # noqa: S608
    everybody = service.get("/all").json
    assert isinstance(everybody, list)
    ids = [person["id"] for person in everybody]
    assert ids == sorted(set(ids))
    assert len(ids) == sql(service.environment, "SELECT count(*) FROM person")[0][0]
    for limit in (1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE):
        assert service.get(f"/all?limit={limit}").json == everybody[:limit]
    assert service.get(f"/all?after={ids[2]}").json == everybody[3:]
    assert service.get(f"/all?after={ids[2]}&limit=2").json == everybody[3:5]
    assert service.get(f"/all?after={ids[-1]}").json == []
    assert service.request("HEAD", "/all").body == b""


def test_every_answer_forbids_sniffing_and_caching(service: Service) -> None:
    for path in ("/all", "/nowhere", "/person/x", "/openapi.json"):
        headers = service.get(path).headers
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_openapi_document_describes_every_route(service: Service) -> None:
    served = service.get("/openapi.json").json
    assert isinstance(served, dict)
    routes = Api(Persons(None), Readiness(Persons(None))).routes  # pyright: ignore[reportArgumentType]
    methods = {(method, path) for path, route in routes.items() for method in route if method != "HEAD"}
    assert methods - {("GET", "/openapi.json")} == set(OPERATIONS)
    assert {(m.upper(), path) for path, item in served["paths"].items() for m in item} == set(OPERATIONS)
    assert set(served["components"]["schemas"]) == {"Person", "PersonForm", "Refusal", "Ready", "Live"}
    names = served["components"]["schemas"]["PersonForm"]["properties"]
    assert names["firstName"] == {"type": "string", "minLength": 1, "maxLength": 255}
    person = service.put(firstName="Open", lastName="Api").json
    assert list(served["components"]["schemas"]["Person"]["properties"]) == list(person)  # pyright: ignore


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
