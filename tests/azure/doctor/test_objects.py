"""From Kubernetes' JSON to facts."""

from clusters.azure.doctor.objects import Json, flux_object, is_plain, pods


def a_pod(name: str, created: str, **status: object) -> Json:
    """A pod as the API server gives it, as far as it matters here."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {"nodeName": "node", "containers": [{"image": "r.example/discordskybot:x"}]},
        "status": {"containerStatuses": [{"ready": False, **status}]},
    }


def an_event(pod: str, message: str, at: str, reason: str = "FailedMount") -> Json:
    """A warning about POD."""
    about = {"uid": f"uid-{pod}"}
    return {"involvedObject": about, "reason": reason, "message": message, "lastTimestamp": at}


def test_the_newest_pod_comes_first_with_what_its_container_waits_for() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    items = [
        a_pod("old", "2026-01-01T00:00:00Z", state={"running": {}}),
        a_pod("new", "2026-01-02T00:00:00Z", state=waiting),
    ]

    found = pods(items)

    assert [pod.name for pod in found] == ["new", "old"]
    assert (found[0].waiting, found[0].said) == ("ErrImagePull", "not found")
    assert found[1].age > found[0].age


def test_of_a_pods_warnings_the_newest_that_says_why_is_taken() -> None:
    """The kubelet says in between that it timed out, which tells nothing."""
    telling = "MountVolume.SetUp failed for volume: "
    events = [
        an_event("one", f"{telling}second", "2026-01-01T00:00:02Z"),
        an_event("one", f"{telling}first", "2026-01-01T00:00:01Z"),
        an_event("one", "Unable to attach or mount volumes: timed out", "2026-01-01T00:00:03Z"),
        an_event("other", f"{telling}of another", "2026-01-01T00:00:04Z"),
    ]

    (waits,) = pods([a_pod("one", "2026-01-01T00:00:00Z", state={"waiting": {}})], events)
    (runs,) = pods([a_pod("one", "2026-01-01T00:00:00Z", state={"running": {}})], events)

    assert waits.mount == f"{telling}second"
    assert runs.mount == ""


def test_the_exit_code_is_that_of_the_container_that_ended() -> None:
    ended = {"terminated": {"exitCode": 2}}
    crashing = a_pod(
        "one",
        "2026-01-01T00:00:00Z",
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState=ended,
    )

    assert pods([crashing])[0].exit_code == 2


def test_a_flux_object_without_conditions_has_none() -> None:
    item = {"kind": "ImagePolicy", "metadata": {"name": "one"}, "spec": {"suspend": True}}

    found = flux_object(item)

    assert (found.ready, found.suspended) == ("", True)


def test_the_component_without_key_vault_is_seen() -> None:
    assert is_plain({"spec": {"components": ["plain-secret"]}})
    assert not is_plain({"spec": {}})
