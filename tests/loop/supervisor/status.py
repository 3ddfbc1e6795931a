"""`status` and `logs`: what runs, where it is reached, and what it said."""

import subprocess
import sys
import time

import httpx2
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster import kube
from tests.loop.supervisor import leftovers, state


def status() -> int:
    """Print the loop; return 0 when it is up, else 1 with the remedy."""
    loop = state.read()
    if loop is None or not loop.alive:
        _print_dead(loop)
        return 1
    since = time.strftime("%H:%M:%S", time.localtime(loop.started))
    print(f"The loop of {loop.checkout} is {loop.phase}, started at {since}", end="")
    print(f", from {loop.revision}" if loop.revision else "")
    _print_processes(loop)
    _print_addresses(loop)
    if loop.phase == "up":
        _print_pods()
    return 0 if loop.phase == "up" else 1


def _print_dead(loop: state.Loop | None) -> None:
    if loop is None:
        print("No loop runs on this machine: `make loop-up` starts it.")
        return
    print(f"The supervisor of {loop.checkout}'s loop was killed; still there are:")
    for line in leftovers.find().lines():
        print(f"  {line}")
    print("`make loop-up` cleans up and restarts; `make loop-down` only cleans up.")


def _print_processes(loop: state.Loop) -> None:
    print(f"\n  {'process':<26}{'state':<10}{'pid':>7}  {'up for':>8}  restarts")
    print(f"  {'supervisor':<26}{'ready':<10}{loop.supervisor:>7}  {_age(loop.started):>8}")
    for process in loop.processes.values():
        age = _age(process.started) if process.pid else ""
        last = f" (last: {process.last_exit})" if process.restarts else ""
        restarts = f"{process.restarts}{last}"
        print(
            f"  {process.name:<26}{process.state:<10}{process.pid or '':>7}  {age:>8}  {restarts}"
        )
    print(f"  left out: {', '.join(sorted(loop.left_out)) or 'nothing'}")


def _age(since: float) -> str:
    seconds = int(time.time() - since)
    return f"{seconds // 60}m{seconds % 60:02}s"


def _print_addresses(loop: state.Loop) -> None:
    rows: list[tuple[str, object]] = [
        ("API server", state.API_URL),
        ("kubeconfig", loop.kubeconfig),
        ("registry", f"http://{state.REGISTRY}"),
        ("Git", state.GIT_URL),
        ("Discord stand-in", f"{state.DISCORD_API_URL} and {state.DISCORD_GATEWAY_URL}"),
        ("  its control", f"http://{state.DISCORD_CONTROL}"),
        ("  its token", state.DISCORD_TOKEN_FILE),
        ("OpenAI stand-in", state.OPENAI_URL),
        ("  its control", f"http://{state.OPENAI_CONTROL}"),
        ("  its key", state.OPENAI_KEY_FILE),
        ("Key Vault stand-in", f"{state.VAULT_URL} by the proxy http://{state.VAULT_PROXY}"),
        ("  its control", f"http://{state.VAULT_CONTROL}"),
        ("etcd", f"http://{state.ETCD}"),
        ("Flux's artifacts", f"http://{state.SOURCE_STORAGE}"),
        ("containerd", state.CONTAINERD_SOCKET),
        ("pods, services", f"{state.POD_NETWORK} on {state.BRIDGE}, {state.SERVICE_NETWORK}"),
        ("logs", f"{state.LOGS}/<process>.log, pods' in {state.STATE}/pods"),
    ]
    width = max(len(name) for name, _ in rows) + 2
    print()
    for name, value in rows:
        print(f"  {name:<{width}}{value}")


def _print_pods() -> None:
    print()
    try:
        pods = list(kube.client().list(Pod, namespace="*"))
    except (httpx2.HTTPError, ApiError) as error:
        print(f"  pods: the API server does not answer ({error})")
        return
    if not pods:
        print("  pods: none yet; `make demo` deploys the bot")
    for pod in pods:
        meta, now = pod.metadata, pod.status
        ready = kube.condition(pod) == "True"
        image = pod.spec.containers[0].image if pod.spec else ""
        if meta and now:
            where = f"{meta.namespace}/{meta.name}"
            print(f"  {where:<50}{now.phase}{' and Ready' * ready}  {now.podIP or ''}  {image}")


def logs(name: str, *, follow: bool) -> int:
    """List the logs, or print the one of NAME; with FOLLOW, go on as it grows."""
    folder = state.LOGS if state.LOGS.is_dir() else state.LAST_LOGS
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not found:
        print("There are no logs: no loop was started here.", file=sys.stderr)
        return 1
    if not name:
        kept = "" if folder == state.LOGS else ", kept from the last loop"
        print(f"Logs in {folder}{kept}:")
        for stem, path in found.items():
            print(f"  {stem:<26}{path.stat().st_size:>10} bytes")
        return 0
    if name not in found:
        print(f"There is no log of {name!r}; there are: {', '.join(found)}", file=sys.stderr)
        return 1
    command = ["tail", "--lines=+1", *(["--follow=name"] if follow else []), str(found[name])]
    return subprocess.run(command, check=False).returncode
