"""The page in a real browser. Without one these tests are skipped, unless STERNA_BROWSER=required."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from torch import nn

from examples.digits import write_example
from sterna.intake import inspect_model
from tests.cli.live_service import listening, serving
from tests.service.conftest import Service, served
from tests.web.browsing import chromium, find_chromium, opened
from tests.web.proxy import Proxy

expect.set_options(timeout=60_000)

SCREENSHOTS = Path(__file__).parents[2] / "out" / "screenshots"


@dataclass(frozen=True)
class Files:
    model: Path
    data: Path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        if os.environ.get("STERNA_BROWSER") == "required":
            pytest.fail("no Chromium is installed, and STERNA_BROWSER=required")
        pytest.skip("no Chromium is installed (STERNA_CHROMIUM, chromium, google-chrome): the page is not tested")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that must have kept to the policy when the test ends."""
    with ExitStack() as pages:
        yield lambda **options: pages.enter_context(opened(browser, **options))


@pytest.fixture
def page(open_page) -> Page:
    return open_page()


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Service]:
    """A service without a worker: the test plays it, or nothing happens."""
    with served(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def serve(tmp_path) -> Callable[..., AbstractContextManager[Service]]:
    """A service of one's own; called again, it goes on with the same files."""
    return partial(served, tmp_path)


@pytest.fixture(scope="session")
def address(service) -> str:
    return str(service.http.base_url).rstrip("/")


@pytest.fixture
def proxy(service) -> Iterator[Proxy]:
    with Proxy(urlsplit(str(service.http.base_url)).port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def live(tmp_path_factory) -> Iterator[str]:
    """The embedded service, with a worker, in processes of their own."""
    with serving(tmp_path_factory.mktemp("live"), "--port", "0") as (process, output):
        yield listening(process, output)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Files:
    """Two thousand untrained weights, so that every target of the slider can be met, and data for them."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 20))
    exported = torch.export.export(network, (torch.zeros(3, 20),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(exported, folder / "small.pt2")
    inputs = np.random.default_rng(0).standard_normal((40, 20), dtype=np.float32)
    np.savez(folder / "small.npz", input=inputs, target=np.arange(40) % 20)
    return Files(folder / "small.pt2", folder / "small.npz")


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Files:
    """The digits MLP, trained, and its data."""
    return Files(*write_example("mlp", tmp_path_factory.mktemp("digits")))


@pytest.fixture(scope="session")
def shoot() -> Callable[[Page, str], None]:
    """Keeps a picture of the whole page in a folder that git ignores."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@dataclass(frozen=True)
class Inspected:
    """A model and what the service should say of its layers."""

    model: Path
    layers: list[dict]


@pytest.fixture(scope="session")
def cut_model(tmp_path_factory) -> Inspected:
    """A network with one layer that can be made ternary and one that cannot, as the library tells them."""
    folder = tmp_path_factory.mktemp("cut")
    torch.manual_seed(0)
    network = nn.Sequential(OrderedDict(position_embeddings=nn.Embedding(10, 8), head=nn.Linear(8, 4)))
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(network, (torch.zeros(3, 5, dtype=torch.long),), dynamic_shapes=(batch,))
    torch.export.save(exported, folder / "cut.pt2")
    layers = [
        {"name": layer.name, "ternarisable": layer.ternarisable, "why_not": layer.why_not}
        for layer in inspect_model(folder / "cut.pt2").layers
    ]
    return Inspected(folder / "cut.pt2", layers)


@pytest.fixture(scope="session")
def sha256_of() -> Callable[[bytes], str]:
    return lambda content: hashlib.sha256(content).hexdigest()
