"""The service's own page as it is served: its files, what browsers may keep, and what its policy allows."""

import gzip
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "service" / "web"
FORBIDDEN = re.compile(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", re.IGNORECASE)


@pytest.fixture
def page(service):
    answer = service.http.get("/")
    assert answer.status_code == 200
    return answer


def addresses(page):
    """What the page names: files in attributes, and the script of the plots."""
    return re.findall(r'(?:href|src|data-plotly)="(/web/[^"]+)"', page.text)


def test_the_page_needs_no_key_and_names_files_that_are_there(serve):
    with serve() as service:
        service.ledger.create_key(tenant="someone", name="n", scope="admin")
    with serve() as service:
        assert service.http.get("/v1/jobs").status_code == 401
        page = service.http.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        found = addresses(page)
        assert len(found) > 5
        for address in found:
            assert service.http.get(address).status_code == 200, address


def test_every_file_of_the_folder_is_served_byte_for_byte(service, page):
    base = re.search(r'src="(/web/[^/]+)/main\.js"', page.text)[1]
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    files = [path for path in FOLDER.iterdir() if path.name != "index.html"]
    assert files
    for path in files:
        answer = service.http.get(f"{base}/{path.name}")
        assert answer.content == path.read_bytes(), path.name
        assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(service, page):
    for answer in (page, service.http.get(addresses(page)[0])):
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert not FORBIDDEN.search(re.sub(r"<!--.*?-->", "", page.text))


def test_a_page_that_is_known_is_not_sent_again(service, page):
    known = {"If-None-Match": page.headers["etag"]}
    assert service.http.get("/", headers=known).status_code == 304
    assert page.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip, br", True), ("*", True), ("gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False), ("", False)],
)
def test_files_are_compressed_for_those_who_take_it(service, page, accepted, compressed):
    address = next(one for one in addresses(page) if one.endswith("style.css"))
    with service.http.stream("GET", address, headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert (answer.headers.get("content-encoding") == "gzip") == compressed
    assert answer.headers["vary"] == "Accept-Encoding"
    content = (FOLDER / "style.css").read_bytes()
    assert (gzip.decompress(raw) if compressed else raw) == content


def test_the_script_of_the_plots_is_that_of_the_installed_package(service, page):
    address = re.search(r'data-plotly="(/web/plotly-[^"]+)"', page.text)[1]
    package = Path(importlib.util.find_spec("plotly").submodule_search_locations[0])
    assert service.http.get(address).content == (package / "package_data" / "plotly.min.js").read_bytes()


@pytest.mark.parametrize("path", ["main.js", "../app.py", "..%2Fapp.py", "0/main.js", "", "plotly-0/plotly.min.js"])
def test_nothing_else_is_a_file_of_the_page(service, refused, path):
    answer = service.http.get(f"/web/{path}")
    assert answer.status_code == 404
    if answer.request.url.path.startswith("/web/"):
        refused(answer, 404, "NOT_FOUND")


def test_without_plotly_the_page_is_there_and_names_no_script(monkeypatch):
    from service import web_files  # noqa: PLC0415  its caches are those of a process of its own

    monkeypatch.setattr(web_files, "_plotly_path", lambda: None)
    web_files.web_page.cache_clear()
    try:
        assert b'data-plotly=""' in web_files.web_page(max_upload_bytes=1).content
    finally:
        web_files.web_page.cache_clear()


def test_a_page_of_another_host_gets_none(service, refused):
    refused(service.http.get("/", headers={"Host": "evil.example"}), 403, "ACCESS_DENIED")


def test_an_installed_wheel_holds_the_page(tmp_path):
    root, source = FOLDER.parents[1], tmp_path / "source"
    shutil.copytree(root / "service", source / "service")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    done = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("sterna-*.whl"))) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("service/web/")}
    assert held == {f"service/web/{path.name}" for path in FOLDER.iterdir()}


def test_the_contract_to_read_is_a_view_of_the_page(service):
    answer = service.http.get("/docs")
    assert (answer.status_code, answer.headers["location"]) == (307, "/#/docs")
