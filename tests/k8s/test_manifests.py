"""Every overlay, and what no single object shows: sources, sizes, the site of a place, what is left of a run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from k8s.pods import pods
from k8s.quantities import amount
from k8s.rendered import K8S, PLACES, ROOT, RUNS, overlay, parsed, place, rayjob
from ruamel.yaml import YAML

from k8s import commands, findings, references
from raylab.config import load
from raylab.site import SiteFile

KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
# prometheus-operator's PodMonitor, in the fields used here: its definition is not at hand.
POD_MONITOR = {"selector", "podMetricsEndpoints"}
ENDPOINT, RELABELING = {"port", "relabelings"}, {"action", "sourceLabels", "targetLabel"}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", PLACES)
def test_a_place_and_its_run_have_no_problem(name: str, run: str) -> None:
    assert findings.problems(place(name, run), name) == []


def test_no_source_gives_a_key_twice() -> None:
    for path in sorted([*(K8S / "base").rglob("*.yaml"), *(K8S / "components").rglob("*.yaml")]):
        list(YAML(typ="safe", pure=True).load_all(path))  # raises DuplicateKeyError, unlike kubectl
    for path in (K8S / "overlays").rglob("*.yaml"):
        list(YAML(typ="safe", pure=True).load_all(path))


@pytest.mark.parametrize("place_name", PLACES)
def test_a_setting_with_brackets_can_be_written_behind_an_entrypoint(place_name: str) -> None:
    """`seeds=[5]` would end a value in flow style."""
    yaml, site, seen = YAML(typ="safe", pure=True), "--site /etc/raylab/site.yaml", 0
    for path in (K8S / "overlays" / place_name).rglob("kustomization.yaml"):
        for patch in yaml.load(path.read_text().replace(site, f"{site} seeds=[5]")).get("patches", ()):
            values = [each["value"] for each in yaml.load(patch["patch"]) if each["path"] == "/spec/entrypoint"]
            assert all(value.endswith(" seeds=[5]") for value in values)
            seen += len(values)
    assert seen >= 2


def test_every_base_and_component_is_of_some_overlay() -> None:
    used: set[Path] = set()
    waiting = [path.parent for path in KUSTOMIZATIONS if (K8S / "overlays") in path.parents]
    while waiting:
        folder = waiting.pop().resolve()
        if folder not in used:
            used.add(folder)
            read: dict[str, Any] = YAML(typ="safe", pure=True).load(folder / "kustomization.yaml")
            names = [*read.get("resources", ()), *read.get("components", ())]
            waiting += [folder / name for name in names if (folder / name).is_dir()]
    assert {path.parent.resolve() for path in KUSTOMIZATIONS} == used


@pytest.mark.parametrize("name", PLACES)
def test_a_place_has_an_overlay_for_every_run_and_each_has_a_name_of_its_own(name: str) -> None:
    folders = {path.name for path in (K8S / "overlays" / name).iterdir()}
    assert folders == {"platform", *RUNS}
    assert [rayjob(name, run)["metadata"]["name"] for run in RUNS] == list(RUNS)


@pytest.mark.parametrize("name", PLACES)
def test_the_site_of_a_place_fits_its_workers(name: str) -> None:
    objects = place(name)
    files = commands.mounted_files(objects)
    site = load(SiteFile, files["/etc/raylab/site.yaml"])
    cluster = rayjob(name)["spec"]["rayClusterSpec"]
    (group,) = cluster["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    most = group["maxReplicas"]
    cpus, gpus = amount(limits["cpu"]), amount(limits.get("nvidia.com/gpu", 0))
    memory = (amount(limits["memory"]) - amount(group["rayStartParams"]["object-store-memory"])) / 2**30
    for part, number in ((site.actors, site.actors.max), (site.trials, site.trials.max_concurrent)):
        assert part.cpus <= cpus
        assert part.memory_gb is not None
        assert part.gpus is not None
        on_a_node = min(cpus // part.cpus, gpus // part.gpus if part.gpus else cpus)
        assert on_a_node >= 1
        assert on_a_node * part.memory_gb <= memory  # all that the CPUs and GPUs of a node let in
        assert number is None or number <= most * on_a_node
    assert site.autoscaling == cluster["enableInTreeAutoscaling"]
    assert site.tracking is None  # MLFLOW_TRACKING_URI says it, and references.py where it leads


@pytest.mark.parametrize(
    ("name", "file", "but"),
    [
        ("small", "cluster-cpu.yaml", {"store": None}),  # a volume
        ("gpu-autoscaled", "cluster-gpu.yaml", {}),
        ("kueue", "cluster-gpu.yaml", {"autoscaling": False}),  # its workers are fixed
    ],
)
def test_the_site_of_a_place_is_the_repositorys_but_for_what_is_its_own(name: str, file: str, but: Any) -> None:
    site = load(SiteFile, commands.mounted_files(place(name))["/etc/raylab/site.yaml"])
    assert site == load(SiteFile, ROOT / "configs" / "site" / file).model_copy(update=but)


@pytest.mark.parametrize("name", PLACES)
def test_results_outlive_the_pods(name: str) -> None:
    objects = place(name)
    site = load(SiteFile, commands.mounted_files(objects)["/etc/raylab/site.yaml"])
    for pod in (pod for pod in pods(objects) if pod.name in ("head", "worker")):
        (home,) = [each["value"] for each in pod.spec["containers"][0]["env"] if each["name"] == "RAYLAB_HOME"] or [
            None
        ]
        mounts = {each["mountPath"]: each["name"] for each in pod.spec["containers"][0]["volumeMounts"]}
        (volume,) = [each for each in pod.spec["volumes"] if each["name"] == mounts[home or ""]]
        assert ("persistentVolumeClaim" in volume) == (site.store is None)


def test_only_the_gpu_places_scale_or_queue() -> None:
    scaled = {name: rayjob(name)["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] for name in PLACES}
    assert scaled == {"small": False, "gpu-autoscaled": True, "kueue": False}
    (group,) = rayjob("gpu-autoscaled")["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"]) == (0, 0)
    queues = {name: rayjob(name)["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") for name in PLACES}
    assert queues == {"small": None, "gpu-autoscaled": None, "kueue": "raylab"}


def test_the_namespaces_refuse_what_is_not_restricted_and_say_of_which_version() -> None:
    for name in PLACES:
        namespaces = {each["metadata"]["name"]: each for each in place(name) if each["kind"] == "Namespace"}
        assert set(namespaces) == {"raylab", "raylab-mlflow"}
        for namespace in namespaces.values():
            labels = namespace["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
            assert re.fullmatch(r"v1\.\d+", labels["pod-security.kubernetes.io/enforce-version"])
        others = [each for each in place(name) if each["kind"] != "Namespace"]
        assert {each["metadata"].get("namespace") for each in others} == set(namespaces)


def test_an_upgrade_changes_no_field_that_a_server_keeps_as_it_was(tmp_path: Path) -> None:
    """Of a Job the template, of a Deployment and a Service the selector: the image's tag may be in none of them."""
    copied = shutil.copytree(K8S, tmp_path / "k8s")
    for path in copied.glob("components/image-*/kustomization.yaml"):
        path.write_text(re.sub(r"newTag: \S+-(\w+)", r"newTag: 0.2.0-ray2.61.0-\1", path.read_text()))
    for name in PLACES:
        before, after = overlay(f"{name}/platform"), parsed(copied / "overlays" / name / "platform")
        assert before != after
        assert kept(before) == kept(after)


def kept(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{each['kind']} {each['metadata'].get('namespace')}/{each['metadata']['name']}": each["spec"]["template"]
        if each["kind"] == "Job"
        else each.get("spec", {}).get("selector")
        for each in objects
    }


@pytest.mark.parametrize("name", PLACES)
def test_the_namespace_of_runs_holds_nothing_that_a_run_may_not_have(name: str) -> None:
    """Nor does the page tell anybody to make it there."""
    objects = [each for each in place(name) if each["metadata"].get("namespace") == "raylab"]
    assert not {each["kind"] for each in objects} & {"Deployment", "StatefulSet", "Service", "Job", "Secret"}
    named = set(re.findall(r"secret(?:KeyRef|Ref|Name)'?: *(?:\{'name': )?'([\w-]+)'", str(objects)))
    assert "raylab-ray-token" in named
    assert named <= set(references.SECRETS["raylab"])
    page = (K8S / "README.md").read_text()
    made = re.findall(r"kubectl -n (\S+) create secret (?:generic|docker-registry) (\S+)", page)
    assert sorted(made) == sorted((where, secret) for where, them in references.SECRETS.items() for secret in them)


@pytest.mark.parametrize("name", ["gpu-autoscaled", "kueue"])
def test_metrics_are_asked_of_ports_that_the_pods_have(name: str) -> None:
    found = list(pods(place(name)))
    for monitor in (each for each in place(name) if each["kind"] == "PodMonitor"):
        assert set(monitor["spec"]) <= POD_MONITOR
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        chosen = [pod for pod in found if wanted <= pod.labels.items()]
        assert len(chosen) == 1
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert set(endpoint) <= ENDPOINT
            assert all(set(each) <= RELABELING for each in endpoint["relabelings"])
            assert endpoint["port"] in chosen[0].ports()
    for each in place(name):
        if each["metadata"]["name"] == "raylab-grafana-dashboards":
            assert all(re.search(r"/kuberay/v1\.7\.0/config/grafana/\w+\.json$", url) for url in each["data"].values())


@pytest.mark.parametrize("name", ["gpu-autoscaled", "kueue"])
def test_every_account_of_production_can_log_in_where_the_image_is(name: str) -> None:
    accounts = [each for each in place(name) if each["kind"] == "ServiceAccount"]
    assert {pod.spec["serviceAccountName"] for pod in pods(place(name))} <= {e["metadata"]["name"] for e in accounts}
    assert all(each["imagePullSecrets"] == [{"name": "raylab-registry"}] for each in accounts)


def test_the_queues_of_the_example_hold_one_run_and_no_second() -> None:
    """By Kueue's rule each kind of Pod goes to the first flavor that has room for all of it."""
    read = list(YAML(typ="safe", pure=True).load_all((K8S / "examples" / "kueue-queues.yaml").read_text()))
    (queue,) = [each for each in read if each["kind"] == "ClusterQueue"]
    (local,) = [each for each in read if each["kind"] == "LocalQueue"]
    assert local["metadata"] == {"name": queue_of("kueue"), "namespace": "raylab"}
    assert local["spec"]["clusterQueue"] == queue["metadata"]["name"]
    flavors = {each["metadata"]["name"]: each.get("spec", {}) for each in read if each["kind"] == "ResourceFlavor"}
    (group,) = queue["spec"]["resourceGroups"]
    assert [each["name"] for each in group["flavors"]] == list(flavors) == ["raylab-cpu", "raylab-gpu"]
    left = [{each["name"]: amount(each["nominalQuota"]) for each in one["resources"]} for one in group["flavors"]]
    for pod in (pod for pod in pods(place("kueue")) if pod.name in ("head", "worker", "submitter")):
        (asked,) = [container["resources"]["requests"] for container in pod.spec["containers"]]
        needed = {name: amount(quantity) * pod.most for name, quantity in asked.items()}
        flavor = [fits(needed, one) for one in left].index(True)
        left[flavor] |= {name: left[flavor][name] - number for name, number in needed.items()}
        if pod.name == "worker":
            assert flavor == 1
            assert pod.spec["nodeSelector"] == flavors["raylab-gpu"]["nodeLabels"]
            assert not any(fits(needed, one) for one in left)


def fits(needed: dict[str, float], room: dict[str, float]) -> bool:
    return all(room.get(name, 0) >= number for name, number in needed.items())


def queue_of(name: str) -> str:
    return str(rayjob(name)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"])


def test_a_run_of_one_s_own_has_a_name_of_its_own(tmp_path: Path) -> None:
    """As the page tells people to make it."""
    (text,) = re.findall(r"```yaml\n(# mine/kustomization.yaml\n.*?)```", (K8S / "README.md").read_text(), re.DOTALL)
    shutil.copytree(K8S, tmp_path / "k8s")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(text)
    (job,) = parsed(tmp_path / "mine")
    assert job["metadata"]["name"] == "transfer-matrix-ada"
    assert job["spec"]["entrypoint"].endswith(" seeds=[5]")
    assert findings.problems([*overlay("small/platform"), job], "small") == []


def test_the_image_agrees_with_the_manifests() -> None:
    text = (K8S / "image" / "Dockerfile").read_text()
    user, folder = re.findall(r"^USER (\S+)", text, re.MULTILINE), re.findall(r"^WORKDIR (\S+)", text, re.MULTILINE)
    head = rayjob("small")["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert re.fullmatch(r"\d+(:\d+)?", user[-1])  # runAsNonRoot cannot judge a name
    assert user[-1].split(":")[0] == str(head["securityContext"]["runAsUser"])
    assert folder[-1] == head["containers"][0]["workingDir"]
