"""Every attack of the corpus: its own typed error, no canary, at most 2 s of processor time and 200 MB of memory.

Each file is read by a process of its own, a fork of one that has loaded the reader and nothing else, so that what the
kernel counts for it is what the file has cost.
"""

import json
import subprocess
import sys
import warnings

import pytest

from tests.hostile.conftest import Sound
from tests.hostile.corpus import CANARY, CODE, DATA_ATTACKS, MODEL_ATTACKS, bomb
from tests.hostile.corpus_foreign import FOREIGN_ATTACKS

MOST_S = 2.0
MOST_MB = 200
READER = """
import json, os, resource, sys
from sterna.errors import InputError
from sterna.intake import preflight

def read(model, data):
    try:
        preflight(model, data)
    except InputError as error:
        assert len(str(error)) < 1000
        return error.code
    return "accepted"

for line in sys.stdin:
    name, model, data = json.loads(line)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receive)
        try:
            os.write(send, read(model, data).encode())
        except BaseException as error:
            os.write(send, repr(error)[:300].encode())
        os._exit(0)
    os.close(send)
    answer = b""
    while part := os.read(receive, 1000):
        answer += part
    os.close(receive)
    _, _, usage = os.wait4(pid, 0)
    figures = {"code": answer.decode(), "s": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1000}
    print(json.dumps([name, figures]), flush=True)
assert not {"torch", "sympy", "transformers"} & set(sys.modules), "the reader imports what it must not"
"""


@pytest.fixture(scope="session")
def answers(exported, tmp_path_factory):
    """What the reader says to each attack, and what that cost."""
    folder = tmp_path_factory.mktemp("corpus")
    sound = Sound(folder, dict(exported)).save().rename(folder / "sound.pt2")
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's, of our own mischief
        for name, (_, make) in MODEL_ATTACKS.items():
            path = folder / f"{name}.pt2"
            path.write_bytes(make(Sound(folder, dict(exported))))
            lines.append([name, str(path), None])
    for name, (_, make_foreign) in FOREIGN_ATTACKS.items():
        path = folder / name
        path.write_bytes(make_foreign())
        lines.append([name, str(path), None])
    for name, (_, make_data) in DATA_ATTACKS.items():
        path = folder / f"{name}.data"
        path.write_bytes(make_data())
        lines.append([name, str(sound), str(path)])
    done = subprocess.run(
        [sys.executable, "-c", READER],
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder, dict(map(json.loads, done.stdout.splitlines()))


CORPORA = (MODEL_ATTACKS, FOREIGN_ATTACKS, DATA_ATTACKS)
EXPECTED = {name: code for corpus in CORPORA for name, (code, _) in corpus.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_attack_is_refused_by_its_name_and_cheaply(answers, name):
    found = answers[1][name]
    assert found["code"] == EXPECTED[name]
    assert found["s"] < MOST_S
    assert found["mb"] < MOST_MB


def test_no_attack_has_left_its_canary(answers):
    assert not (answers[0] / CANARY).exists()


def test_the_canary_would_have_been_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(CODE)  # noqa: S102  to see that it would go off
    assert (tmp_path / CANARY).exists()
    assert CODE.encode() in bomb()
