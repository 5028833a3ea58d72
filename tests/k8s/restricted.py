"""Pod Security "restricted" with "baseline" (kubernetes.io/docs/concepts/security/pod-security-standards)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}


def problems(spec: dict[str, Any]) -> Iterator[str]:
    """What "restricted" refuses in a Pod's spec."""
    pod = spec.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} must be false"
    for volume in spec.get("volumes", ()):
        if forbidden := set(volume) - VOLUMES - {"name"}:
            yield f"volume {volume['name']}: {', '.join(sorted(forbidden))} is not allowed"
    for sysctl in pod.get("sysctls", ()):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']} is not allowed"
    yield from _of_either(pod, "the Pod")
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group, ()):
            own = container.get("securityContext") or {}
            yield from (f"container {container['name']}: {line}" for line in _container(own, pod, container))


def _container(own: dict[str, Any], pod: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    yield from _of_either(own, "it")
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation must be false"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", ()):
        yield "capabilities must drop ALL"
    if added := set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"capabilities added: {', '.join(sorted(added))}"
    if own.get("procMount", "Default") != "Default":
        yield "procMount must be Default"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "hostPort is not allowed"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot must be true"
    profile = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    if profile.get("type") not in PROFILES:
        yield "seccompProfile must be RuntimeDefault or Localhost"


def _of_either(context: dict[str, Any], whose: str) -> Iterator[str]:
    """What is refused wherever it is said."""
    if context.get("runAsUser") == 0:
        yield f"{whose} must not run as user 0"
    if context.get("runAsNonRoot") is False:
        yield f"{whose} says runAsNonRoot: false"
    if (context.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield f"{whose} has the seccompProfile {context['seccompProfile']['type']}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"{whose} sets seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield f"{whose} has no AppArmor profile"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{whose} is a host process"
