"""Modules of the page by themselves, and what all of its files have in common."""

import re
from pathlib import Path

import pytest

from tests.web.browsing import imported

FOLDER = Path(__file__).parents[2] / "service" / "web"
CODE = sorted(path for path in FOLDER.iterdir() if path.suffix in {".js", ".css"})


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_a_file_is_short_says_what_it_is_for_and_reads_no_markup(path):
    text = path.read_text()
    assert text.count("\n") < 300
    assert text.startswith(("/**", "/*"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", text
    )


def test_a_stream_is_read_the_same_wherever_it_is_cut(page, address):
    text = ': hi\n\nretry: 20\n\nid: 1\nevent: a\ndata: {"x":\ndata: 1}\n\r\nid:2\r\ndata:é\r\n\r\ndata: never\n'
    page.goto(address)
    call = """(() => [...Array(given.length + 1).keys()].map((cut) => {
        const parser = new module.SseParser();
        const found = [...parser.feed(given.slice(0, cut)), ...parser.feed(given.slice(cut))];
        return JSON.stringify([found, parser.retry]); }))()"""
    found = page.evaluate(imported("event_stream.js", call), text)
    expected = '[[{"id":"1","event":"a","data":"{\\"x\\":\\n1}"},{"id":"2","data":"é"}],20]'
    assert set(found) == {expected}


def test_a_thinned_curve_keeps_its_ends_and_its_peaks(page, address):
    page.goto(address)
    call = """(() => { const curves = new module.Curves();
        for (let step = 1; step <= 5000; step += 1)
            curves.add({step, loss: step === 1234 ? 99 : step === 4321 ? -99 : Math.sin(step)});
        for (let step = 1; step <= 5; step += 1) curves.add({step, loss: step});
        return [curves.thinned('loss', 100), curves.thinned('loss', 1e6), curves.latest('loss'), curves.points]; })()"""
    thin, whole, latest, points = page.evaluate(imported("curves.js", call))
    assert 50 <= len(thin["y"]) <= 110
    assert len(whole["y"]) == 5006  # and a break where the second attempt begins
    assert {99, -99} <= set(thin["y"])
    assert (thin["x"][0], thin["x"][-1], latest, points) == (1, 5, 5, 5005)
    assert None in thin["y"]


def test_figures_are_written_as_people_read_them(page, address):
    page.goto(address)
    call = "given.map(([name, values]) => module[name](...values))"
    asked = {
        ("bytes", (13436,)): "13.4 kB",
        ("bytes", (999,)): "999 B",
        ("bytes", (999_400,)): "999 kB",
        ("bytes", (None,)): "–",
        ("duration", (3725,)): "1 h 2 min",
        ("duration", (0.2,)): "< 1 s",
        ("share", (0.7,)): "0.7000",
        ("target", (0.955,)): "0.955",
        ("metric", ("accuracy", 0.98614)): "98.61 %",
        ("metric", ("mse", 0.00123456)): "0.001235",
        ("drop", ("accuracy", 0.0056)): "−0.56 points",
        ("drop", ("accuracy", 0)): "no loss",
        ("drop", ("mse", -0.5)): "better by 0.500",
        ("digits", (0,)): "0",
        ("digits", (1e-9,)): "1.00e-9",
        ("shape", ((None, 3),)): "* × 3",
    }
    found = page.evaluate(imported("format.js", call), [[name, list(values)] for name, values in asked])
    assert found == list(asked.values())
