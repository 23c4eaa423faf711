from api_schemas import ProgressPoint
from api_schemas.events import PhaseChange
from sterna.cli import progress
from sterna.cli.progress import JobProgress


def test_without_a_terminal_there_are_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with JobProgress() as shown:
        shown.on_event(PhaseChange(phase="search"))
        shown.on_event(ProgressPoint(step=10, steps=40, sparsity=0.7, alpha=0.5))
    assert capsys.readouterr().err == "search\nsearch  25%  step 10/40  zeros 70.00%  α 0.500\n"


def test_a_short_phase_is_one_line(capsys):
    with JobProgress() as shown:
        shown.on_event(PhaseChange(phase="search"))
        shown.on_event(ProgressPoint(step=10, steps=40))
    assert capsys.readouterr().err == "search\n"
