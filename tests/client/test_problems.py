import httpx
import pytest

from api_schemas import JobErrorInfo, Problem
from sterna import errors
from sterna.client import job_error
from sterna.client.problems import ERRORS, problem_error


def answer(status, content):
    return httpx.Response(status, content=content, request=httpx.Request("GET", "http://host/v1/jobs"))


def problem(status, code, **fields):
    text = Problem(title="t", status=status, detail="what was found", instance="/", code=code, **fields)
    return problem_error(answer(status, text.model_dump_json()))


def test_every_error_of_the_tree_comes_back_as_itself():
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.SternaError)]
    assert len(classes) > 30
    assert sorted(ERRORS) == sorted({one.code for one in classes})
    for one in classes:
        assert type(problem(422, one.code, hint="do this")) is one
        assert type(job_error(JobErrorInfo(code=one.code, message="m"))) is one


def test_a_class_derived_elsewhere_does_not_take_the_place_of_its_parent():
    class OfSomeProgram(errors.NotFound):
        pass

    assert type(problem(404, OfSomeProgram.code)) is errors.NotFound


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidSpec),
        (401, errors.AccessDenied),
        (403, errors.AccessDenied),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.InvalidSpec),
        (429, errors.QuotaExceeded),
        (500, errors.SternaError),
        (503, errors.ServiceUnavailable),
    ],
)
@pytest.mark.parametrize("content", [b"<html>proxy</html>", b"", b'{"detail": 1}'])
def test_an_answer_without_a_problem_is_known_by_its_status(status, kind, content):
    error = problem_error(answer(status, content))
    assert type(error) is kind
    assert str(status) in error.detail


def test_a_code_of_a_newer_service_is_known_by_its_status():
    error = problem(429, "NEW_LIMIT", hint="wait")
    assert (type(error), error.detail, error.hint) == (errors.QuotaExceeded, "what was found", "wait")


def test_fields_that_the_detail_does_not_name_are_told():
    error = problem(422, "INVALID_SPEC", errors=({"pointer": "/seed", "detail": "too small"},))
    assert "/seed: too small" in error.detail


def test_an_unknown_error_of_a_job_keeps_its_code():
    error = job_error(JobErrorInfo(code="NEW", message="m", hint="h"))
    assert (type(error), str(error), error.hint) == (errors.JobError, "NEW: m", "h")
