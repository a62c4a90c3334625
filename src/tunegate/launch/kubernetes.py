"""A training as a Kubernetes Job: one pod for each node, which find each other by name.

The pods are those of an Indexed Job behind a headless Service, and run without any privilege. A pod that is moved away
(preemption, drained node) gets SIGTERM and time to save a checkpoint: all processes of the run end with 143, which
counts as no failure, and the Job's next pods resume.
"""

from typing import Any

from tunegate.launch.jobs import PORT, Job

FOLDER = "/project"
"""Where the repository is mounted in each pod."""

_USER = 1000
_USAGE, _REFUSED, _TERMINATED = 2, 3, 143
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def manifests(job: Job, image: str, claim: str) -> list[dict[str, Any]]:
    """The Service and the Job; `claim` is a volume claim that all nodes can mount, with the repository in it."""
    labels = {"app.kubernetes.io/name": job.name, "app.kubernetes.io/managed-by": "tunegate"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job.name, "labels": labels},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": job.name},
            "ports": [{"name": "rendezvous", "port": PORT}],
        },
    }
    return [service, _job(job, labels, _pod(job, image, claim))]


def _job(job: Job, labels: dict[str, str], pod: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": job.nodes,
        "parallelism": job.nodes,
        "backoffLimit": 3 * job.nodes,
        "podFailurePolicy": {"rules": _rules()},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if job.seconds is not None:
        spec["activeDeadlineSeconds"] = job.seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job.name, "labels": labels}, "spec": spec}


def _rules() -> list[dict[str, Any]]:
    def exits(*codes: int) -> dict[str, Any]:
        return {"onExitCodes": {"containerName": "train", "operator": "In", "values": list(codes)}}

    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore"} | exits(_TERMINATED),
        {"action": "FailJob"} | exits(_USAGE, _REFUSED),
    ]


def _pod(job: Job, image: str, claim: str) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "subdomain": job.name,
        "terminationGracePeriodSeconds": job.grace,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, image)],
        "volumes": [
            {"name": "project", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }


def _container(job: Job, image: str) -> dict[str, Any]:
    amounts = {"cpu": str(job.cpus), "memory": f"{job.memory}i"} | (
        {"nvidia.com/gpu": str(job.gpus)} if job.gpus else {}
    )
    return {
        "name": "train",
        "image": image,
        "workingDir": FOLDER,
        # exec: the process that gets SIGTERM is the one that answers it.
        "command": ["/bin/sh", "-c", f"exec {job.command}"],
        "env": [
            {"name": "NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}},
            {"name": "MASTER_ADDR", "value": f"{job.name}-0.{job.name}"},
            {"name": "MASTER_PORT", "value": str(PORT)},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 (of the pod alone)
        ],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "project", "mountPath": FOLDER},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }
