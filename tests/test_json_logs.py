import json
import logging
import sys
import threading

from sterna.json_logs import JsonFormatter, bound


def said(message, *arguments, **more):
    record = logging.LogRecord(
        "a.logger", logging.WARNING, "file.py", 1, message, arguments, more.pop("exc_info", None)
    )
    for name, value in more.items():
        setattr(record, name, value)
    (line,) = JsonFormatter().format(record).splitlines()
    return json.loads(line)


def test_a_line_is_one_object_whatever_is_in_it():
    line = said('two\nlines "and" %s', "an ä", fields={"seconds": 0.5, "path": object})
    assert (line["level"], line["logger"], line["message"]) == ("warning", "a.logger", 'two\nlines "and" an ä')
    assert line["seconds"] == 0.5
    assert line["at"].endswith("Z")


def test_what_is_bound_is_said_inside_the_block_and_in_no_other_thread():
    elsewhere = []
    with bound(request_id="r1"), bound(job_id="j1"):
        here = said("x")
        thread = threading.Thread(target=lambda: elsewhere.append(said("x")))
        thread.start()
        thread.join()
    assert (here["request_id"], here["job_id"]) == ("r1", "j1")
    assert "job_id" not in said("x")
    assert "request_id" not in elsewhere[0]


def test_an_exception_is_told_in_the_same_line():
    try:
        int("oops")
    except ValueError:
        line = said("failed", exc_info=sys.exc_info())
    assert "ValueError: invalid literal" in line["exception"]
