import pytest

from service.conditional import ByteRange, RangeNotSatisfiable, content_etag, matches, requested_range

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=9-99999999999999999999", (9, 10)),
        ("BYTES = 1 - 2", (1, 3)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("items=0-1", None),
        ("bytes=\u0661-", None),
        (None, None),
    ],
)
def test_ranges_of_ten_bytes(header, expected):
    found = requested_range(header, None, etag=ETAG, size_bytes=10)
    assert found == (None if expected is None else ByteRange(*expected))


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999-"])
def test_ranges_behind_the_end(header):
    with pytest.raises(RangeNotSatisfiable):
        requested_range(header, None, etag=ETAG, size_bytes=10)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (ETAG, True),
        (f" {ETAG}", True),
        ('"other"', False),
        (f"W/{ETAG}", False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
    ],
)
def test_if_range_needs_the_very_tag(if_range, applies):
    found = requested_range("bytes=0-1", if_range, etag=ETAG, size_bytes=10)
    assert (found is not None) == applies


@pytest.mark.parametrize(
    ("header", "expected"),
    [(ETAG, True), ("*", True), ('"x", "abc"', True), ('W/"abc"', True), ('"x"', False), ("abc", False), ("", False)],
)
def test_if_none_match(header, expected):
    assert matches(header, ETAG) == expected


def test_tags_follow_the_content():
    assert content_etag(b"a") == content_etag(b"a") != content_etag(b"b")
    assert content_etag(b"a").startswith('"')
