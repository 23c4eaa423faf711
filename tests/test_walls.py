"""The walls between the parts: what each part may not need, proved in a process where it cannot be had."""

import subprocess
import sys

import pytest

BLOCK = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is on the other side of the wall", name=name)

sys.meta_path.insert(0, Wall())
{body}
"""

TRAINING = {"torch"}
SERVER = {"fastapi", "starlette", "uvicorn", "celery", "kombu", "sqlalchemy", "obstore"}
LIGHT = {"httpx", "pydantic", "typer", "rich", "safetensors", "onnx", "transformers"}


@pytest.mark.parametrize(
    ("body", "blocked"),
    [
        ("import sterna", TRAINING | SERVER | LIGHT | {"numpy"}),
        ("import sterna.artifact", TRAINING | SERVER | LIGHT),
        ("import sterna.intake", TRAINING | SERVER | LIGHT),
        ("import sterna.client", TRAINING | SERVER),
        ("import sterna.cli.main", TRAINING | SERVER),
        ("import sterna.method", SERVER | LIGHT),
        ("import service.app; service.app.create_app", TRAINING),
        ("import workers.celery_app, workers.tasks, workers.supervisor, workers.upkeep", TRAINING),
    ],
)
def test_a_part_lives_without_what_is_not_its_own(body, blocked):
    script = BLOCK.format(blocked=blocked, body=body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wall_stands():
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=TRAINING, body="import sterna.method")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "torch is on the other side of the wall" in done.stderr


def test_loading_says_which_extra_it_needs():
    body = "import sterna\ntry: sterna.load('x')\nexcept sterna.errors.SternaError as error: print(error, error.hint)"
    script = BLOCK.format(blocked=TRAINING, body=body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "needs torch" in done.stdout
    assert "sterna[train]" in done.stdout


def test_the_command_says_which_extra_it_needs():
    body = "from sterna.cli import main; main()"
    script = BLOCK.format(blocked=TRAINING | SERVER | LIGHT, body=body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs typer" in done.stderr
    assert "extra 'client'" in done.stderr
