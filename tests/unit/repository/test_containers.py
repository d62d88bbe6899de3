"""The Dockerfile and the compose file, checked as far as possible without a container engine."""

import re

import pytest
from prefect.settings import Settings

from tests.unit.repository.test_deploy import DEPLOY, ROOT, compose


@pytest.mark.parametrize("name", ["server", "worker"])
def test_a_container_has_limits_and_a_health_check(name: str) -> None:
    container = compose()[name]
    assert container["init"] is True
    assert container["mem_limit"]
    options = container["logging"]["options"]
    assert int(options["max-file"]) * int(options["max-size"].removesuffix("m")) <= 100
    assert container["healthcheck"]["test"][0] == "CMD"


def test_the_worker_serves_what_its_health_check_asks_for() -> None:
    worker = compose()["worker"]
    assert worker["command"][-1] == "--with-healthcheck"
    port = Settings().worker.webserver.port
    assert f"http://127.0.0.1:{port}/health" in worker["healthcheck"]["test"][-1]


def test_the_base_image_has_an_exact_version() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-bookworm$", text, flags=re.MULTILINE)


def test_the_image_gets_what_its_dockerfile_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    assert all((ROOT / path).exists() for path in copied)
    packages = {"flows", "tasks", "nst_core"}
    installed = {"pyproject.toml", "README.md", "requirements.lock", "deploy/requirements-gpu.lock"}
    run = {"prefect.yaml", "manifests", "deploy/worker.py"}
    assert copied == packages | installed | run
