"""Property tests of the form parser and of names."""

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from addressbook.forms import MAX_FIELDS, is_form, parse_form
from addressbook.persons import MAX_ID, BadInput, check_name, parse_id

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT.filter(bool), TEXT, min_size=1, max_size=MAX_FIELDS))
def test_encoded_fields_are_decoded(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_bad_input(body: bytes) -> None:
    try:
        fields = parse_form(body)
    except BadInput as error:
        assert str(error).endswith(".")
    else:
        assert len(fields) <= MAX_FIELDS


@given(st.text())
def test_names_are_kept_or_refused(value: str) -> None:
    try:
        assert check_name("firstName", value) == value
    except BadInput as error:
        assert str(error).startswith("firstName ")
    else:
        assert value.strip()
        assert "\0" not in value
        value.encode()  # PostgreSQL takes UTF-8 only


@given(st.integers(1, MAX_ID))
def test_every_id_is_parsed(number: int) -> None:
    assert parse_id(str(number)) == number


@given(st.text())
def test_any_text_is_an_id_or_bad_input(text: str) -> None:
    try:
        assert 1 <= parse_id(text) <= MAX_ID
    except BadInput as error:
        assert "whole number" in str(error)


def test_content_types() -> None:
    form = "application/x-www-form-urlencoded"
    for good in (form, form.upper() + '; charset="utf-8"', form + ";charset=UTF-8"):
        assert is_form(good)
    for bad in ("", form + "x", "text/plain", form + "; charset=latin-1"):
        assert not is_form(bad)
