import re
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tunegate.launch.jobs import Job
from tunegate.launch.kubernetes import FOLDER, manifests

JOB = Job("helpdesk-train", "python -m tunegate.stages train params.yaml", 2, 4, 16, "64G", 90, "04:00:00")
VERSION = "1.37"


def pod_of(job: Job) -> dict[str, Any]:
    pod: dict[str, Any] = made(job)[1]["spec"]["template"]["spec"]
    return pod


def made(job: Job) -> list[dict[str, Any]]:
    return manifests(job, "registry.example/tunegate@sha256:" + "0" * 64, "project")


@pytest.mark.parametrize("job", [JOB, Job("a", "true", 1, 0, 1, "512M", 30)])
def test_the_manifests_are_valid_by_the_schemas_of_kubernetes(job: Job) -> None:
    for manifest in made(job):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_schemas_find_a_wrong_key() -> None:
    _, job = made(JOB)
    job["spec"]["completion"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSION, strict=True)


def test_the_pods_are_numbered_and_find_the_first_one_by_its_name() -> None:
    service, job = made(JOB)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert service["spec"]["clusterIP"] == "None"
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"] == "helpdesk-train"
    environment = {each["name"]: each for each in pod_of(JOB)["containers"][0]["env"]}
    assert environment["MASTER_ADDR"]["value"] == "helpdesk-train-0.helpdesk-train"
    assert "job-completion-index" in environment["NODE_RANK"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert str(service["spec"]["ports"][0]["port"]) == environment["MASTER_PORT"]["value"]


def test_the_pods_have_no_privilege_and_no_token() -> None:
    pod = pod_of(JOB)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_a_preempted_pod_has_time_for_a_checkpoint_and_is_no_failure() -> None:
    rules = made(JOB)[1]["spec"]["podFailurePolicy"]["rules"]
    ignored = [rule for rule in rules if rule["action"] == "Ignore"]
    assert {"type": "DisruptionTarget", "status": "True"} in ignored[0]["onPodConditions"]
    assert ignored[1]["onExitCodes"]["values"] == [143]
    assert [rule["onExitCodes"]["values"] for rule in rules if rule["action"] == "FailJob"] == [[2, 3]]
    assert pod_of(JOB)["restartPolicy"] == "Never"  # what a failure policy asks for
    assert pod_of(JOB)["terminationGracePeriodSeconds"] == 90
    # What gets the signal must be the stage, not a shell around it.
    assert re.match(r"exec python -m tunegate\.stages train", pod_of(JOB)["containers"][0]["command"][2])


def test_checkpoints_go_to_the_volume_and_resources_are_limited() -> None:
    pod = pod_of(JOB)
    (container,) = pod["containers"]
    assert container["workingDir"] == FOLDER
    assert {"name": "project", "mountPath": FOLDER} in container["volumeMounts"]
    assert {"name": "project", "persistentVolumeClaim": {"claimName": "project"}} in pod["volumes"]
    assert container["resources"]["limits"] == {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "4"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert made(JOB)[1]["spec"]["activeDeadlineSeconds"] == 4 * 3600
