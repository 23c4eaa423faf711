"""One form when writing, nothing but it when reading."""

import pytest

from sterna.artifact.json_text import (
    expect_integer,
    expect_list,
    expect_object,
    expect_string,
    from_text,
    short,
    to_text,
)
from sterna.errors import ArtifactCorrupt


def test_one_value_has_one_text():
    assert to_text({"b": [1, 2.5], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5]}'


def test_numbers_that_json_has_not_are_not_written():
    with pytest.raises(ValueError, match="JSON"):
        to_text({"loss": float("nan")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{}{}", "not valid JSON"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "Infinity"),
        (b"\xff", "not valid JSON"),
        ('{"a":1}'.encode("utf-16"), "not valid JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 5000, "not valid JSON"),
    ],
)
def test_other_text_is_refused(text, message):
    with pytest.raises(ArtifactCorrupt, match=message):
        from_text(text, "it")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: expect_object([], "it"), "it is a list, an object is allowed"),
        (lambda: expect_object({"a": 1}, "it", ("a", "b")), "'b'"),
        (lambda: expect_object({"a": 1, "c": 1}, "it", ("a",)), "'c'"),
        (lambda: expect_list({}, "it", most=3), "it is an object, a list is allowed"),
        (lambda: expect_list([1] * 4, "it", most=3), "4 elements, at most 3"),
        (lambda: expect_integer(True, "it", least=0, most=3), "a truth value"),
        (lambda: expect_integer(1.0, "it", least=0, most=3), "a number, an integer is allowed"),
        (lambda: expect_integer(4, "it", least=0, most=3), "outside of 0 … 3"),
        (lambda: expect_integer(-1, "it", least=0, most=3), "outside of 0 … 3"),
        (lambda: expect_string(None, "it"), "null, a string is allowed"),
    ],
)
def test_other_types_are_refused(check, message):
    with pytest.raises(ArtifactCorrupt, match=message):
        check()


def test_names_in_messages_are_short_and_printable():
    assert short("a\n\x1b") == r"'a\n\x1b'"
    assert len(short("x" * 1000)) <= 82
