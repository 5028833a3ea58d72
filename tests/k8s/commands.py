"""Whether the commands of the manifests exist: scripts, files, options, modules, and the Services that they ask."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from k8s.pods import Pod
from k8s.rendered import ROOT

BINARIES = str(Path(sys.executable).parent)
EXPANDED = "sqlite:////from-the-environment"  # what $(DATABASE) becomes


def problems(objects: list[dict[str, Any]], found: Iterable[Pod]) -> Iterator[str]:
    for job in (each for each in objects if each["kind"] == "RayJob"):
        yield from (f"entrypoint: {line}" for line in _entrypoint(job["spec"]["entrypoint"], mounted_files(objects)))
        cluster = job["spec"]["rayClusterSpec"]
        for group in [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", ())]:
            for name in group.get("rayStartParams", {}):
                if name not in _options_of_ray_start():
                    yield f"rayStartParams: `ray start` has no --{name}"
    services = {
        (each["metadata"]["name"], each["metadata"]["namespace"], port["port"])
        for each in objects
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    for pod in found:
        for container in pod.containers:
            where = f"{pod.name}, container {container['name']}"
            words = [*container.get("command", ()), *container.get("args", ())]
            if words[:2] == ["mlflow", "server"]:
                yield from (f"{where}: {line}" for line in _refused_hosts(container, services))
            if "command" in container and container["name"] != "wait-gcs-ready":
                yield from (f"{where}: {line}" for line in _command(words, container))
            for variable in container.get("env", ()):
                if variable["name"] == "MLFLOW_TRACKING_URI" and "value" in variable:  # a Secret's is not to be seen
                    asked = urlsplit(variable["value"])
                    name, _, namespace = (asked.hostname or "").partition(".")
                    if (name, namespace or pod.namespace, asked.port) not in services:
                        yield f"{where}: MLFLOW_TRACKING_URI {variable['value']} is no Service of this place"


def _refused_hosts(container: dict[str, Any], services: set[tuple[str, str, int]]) -> Iterator[str]:
    """MLflow answers 403 to a Host header that it was not told of."""
    given = {each["name"]: each.get("value", "") for each in container.get("env", ())}
    taken = given.get("MLFLOW_SERVER_ALLOWED_HOSTS", "").split(",")
    for name, namespace, port in services:
        for host in (name, f"{name}.{namespace}"):
            if f"{host}:{port}" not in taken:
                yield f"MLFLOW_SERVER_ALLOWED_HOSTS has no {host}:{port}"


def mounted_files(objects: list[dict[str, Any]]) -> dict[str, str]:
    """What ConfigMaps put into the containers of heads, by path."""
    maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    files: dict[str, str] = {}
    for job in (each for each in objects if each["kind"] == "RayJob"):
        spec = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
        names = {each["name"]: each["configMap"]["name"] for each in spec.get("volumes", ()) if "configMap" in each}
        for mount in spec["containers"][0].get("volumeMounts", ()):
            data = maps.get(names.get(mount["name"], ""), {})
            files |= {f"{mount['mountPath']}/{key}": text for key, text in data.items()}
    return files


def _entrypoint(text: str, mounted: dict[str, str]) -> Iterator[str]:
    words = shlex.split(text)
    if words[0] != "python":
        yield f"{words[0]} is not python"
    for word in words[1:]:
        if word.endswith((".py", ".yaml")) and "=" not in word and not (word in mounted or (ROOT / word).is_file()):
            yield f"there is no {word}"
    for word in words[2:]:
        if word.startswith("-") and word not in ("--site", "--dry-run"):
            yield f"a job has no {word}"
    if "--site" not in words:
        yield "no --site: the job would start a Ray of its own on the head"


def _command(words: list[str], container: dict[str, Any]) -> Iterator[str]:
    if shutil.which(words[0], path=BINARIES) is None:
        yield f"there is no {words[0]}"
        return
    words = [EXPANDED if word.startswith("$(") else word for word in words]
    if words[0] == "mlflow":
        yield from _mlflow(_mlflow_cli(), words[1:], container)
    if words[:3] == ["python", "-m", "mlflow.server.auth"]:
        yield from _mlflow(_users_cli(), words[3:], container)
    elif words[:2] == ["python", "-m"] and importlib.util.find_spec(words[2]) is None:
        yield f"there is no module {words[2]}"
    names = {each["name"] for each in container.get("env", ())}
    given = " ".join([*container.get("command", ()), *container.get("args", ())])
    for reference in [part.split(")")[0] for part in given.split("$(")[1:]]:
        if reference not in names:
            yield f"$({reference}) is not in its environment"


def _mlflow(command: click.Command, words: list[str], container: dict[str, Any]) -> Iterator[str]:
    while isinstance(command, click.Group):
        found = command.commands.get(words[0]) if words else None
        if found is None:
            yield f"mlflow has no command {words[0] if words else 'of no name'}"
            return
        command, words = found, words[1:]
    try:
        context = command.make_context(command.name, list(words))
    except click.ClickException as error:
        yield f"mlflow {command.name}: {error.format_message()}"
        return
    ports = [port["containerPort"] for port in container.get("ports", ())]
    if command.name == "server" and ports != [context.params["port"]]:
        yield f"mlflow listens on {context.params['port']}, the container's ports are {ports}"


@cache
def _mlflow_cli() -> click.Command:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its parts that raylab does not use
        from mlflow.cli import cli
    return cli


@cache
def _users_cli() -> click.Command:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.auth.cli import commands
    return commands


@cache
def _options_of_ray_start() -> set[str]:
    from ray.scripts.scripts import start

    return {name.removeprefix("--") for option in start.params for name in option.opts}
