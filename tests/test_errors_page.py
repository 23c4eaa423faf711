"""docs/errors.md tells of every error, with the status and the exit code that it really has."""

import re
from pathlib import Path

from service.problems import CODE_OF, STATUS_OF
from sterna import errors

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
ROW = re.compile(r"\| `([A-Z_]+)` \| (—|\d+) \| (\d) \| (.+?) \| (.+?) \|")
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SternaError)]


def status_of(kind) -> str:
    if kind is errors.SternaError:
        return "500"
    return str(next((status for parent, status in STATUS_OF if issubclass(kind, parent)), "—"))


def test_the_page_and_the_tree_say_the_same():
    rows = ROW.findall(PAGE.read_text())
    told = {code: (status, int(exit_code)) for code, status, exit_code, _, _ in rows}
    assert told == {kind.code: (status_of(kind), kind.exit_code) for kind in KINDS}
    assert len(rows) == len(told)
    assert [code for code, *_ in rows] == [kind.code for kind in KINDS]
    assert all(len(meaning) > 10 and len(remedy) > 10 for *_, meaning, remedy in rows)


def test_codes_are_unique_and_statuses_have_the_code_of_their_class():
    by_code = {kind.code: kind for kind in KINDS}
    assert len(by_code) == len(KINDS)
    for status, code in CODE_OF.items():
        assert status_of(by_code[code]) == str(status)
