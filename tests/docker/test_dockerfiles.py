"""The images: what a linter says of their recipes, and what would be installed in them."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "docker").rglob("*.Dockerfile"))
OURS = [ROOT / "docker" / f"{name}.Dockerfile" for name in ("service", "worker", "store")]


def installed(requirement: str) -> set[str]:
    """Names of all packages that a requirement brings, as the metadata of this environment's packages tell."""
    found: set[str] = set()
    todo = [Requirement(requirement)]
    seen = set()
    while todo:
        wanted = todo.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        found.add(canonicalize_name(wanted.name))
        for line in metadata.requires(wanted.name) or ():
            needed = Requirement(line)
            environments = [default_environment() | {"extra": extra} for extra in wanted.extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(one) for one in environments):
                todo.append(needed)
    return found


def extras_of(recipe: Path) -> str:
    [extras] = re.findall(r'"\.(\[[a-z,]+\])"', recipe.read_text())
    return f"sterna{extras}"


def test_all_recipes_are_looked_at():
    assert set(OURS) <= set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_linter_has_nothing_to_say(recipe):
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--config", ROOT / ".hadolint.yaml", recipe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("recipe", OURS, ids=lambda path: path.name)
def test_images_are_of_a_named_version_end_as_a_user_and_can_be_asked_how_they_are(recipe):
    lines = re.sub(r"\\\n", "", recipe.read_text()).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    for image in (rest.split()[0] for word, rest in words if word == "FROM"):
        assert re.search(r":[a-z0-9._-]*\d[a-z0-9._-]*$", image), image
    users = [rest for word, rest in words if word == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])
    assert [word for word, _ in words].count("HEALTHCHECK") == 1
    for word, rest in words:
        if word in {"CMD", "ENTRYPOINT"}:
            assert rest.startswith("["), "in exec form: a shell in between would not pass signals on"
        assert word != "ADD"


def test_the_service_has_no_torch_and_a_worker_has():
    service, worker = (installed(extras_of(ROOT / "docker" / f"{name}.Dockerfile")) for name in ("service", "worker"))
    assert {"fastapi", "sqlalchemy", "psycopg", "obstore"} <= service
    assert not {name for name in service if name in {"torch", "triton", "transformers"} or name.startswith("nvidia")}
    assert {"torch", "celery", "psycopg", "transformers", "onnx"} <= worker


def test_the_context_is_what_is_installed_and_no_secret_or_data():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in let_in)
    pyproject = (ROOT / "pyproject.toml").read_text()
    [packages] = re.findall(r"include = \[(.*)\]", pyproject)
    wanted = {name.strip(' "*') for name in packages.split(",")}
    assert let_in == wanted | {"LICENSE", "README.md", "pyproject.toml", "requirements.lock"}
