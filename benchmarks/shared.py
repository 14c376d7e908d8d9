"""What a run costs in a namespace that others share: pods that are not ours, many of them, and always some that change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = Any
# No scheduler knows it: the pod stays where it is, and costs nobody anything but its place in the lists
FOREIGN = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]}
WRAPPER = """#!/bin/bash
kubectl "$@" >{folder}/$$.out
code=$?
stat -c %s {folder}/$$.out >>{folder}/bytes
cat {folder}/$$.out
exit $code
"""


def add_pods(space: str, first: int, last: int) -> None:
    """Adds pods that nobody owns to a namespace."""
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"other-{number}"}, "spec": FOREIGN} for number in range(first, last)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}).encode()
    if pods:
        subprocess.run(["kubectl", "-n", space, "create", "-f", "-"], check=True, input=text, stdout=subprocess.DEVNULL)


def weigh(command: list[str]) -> tuple[float, float, int]:
    """The wall clock and CPU time of a command with all that it starts, and the most memory that one of its processes takes, in MB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def count_reads(tool: list[str]) -> tuple[int, int]:
    """How many times a run starts kubectl, and how many bytes that prints."""
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "kubectl"
        wrapper.write_text(WRAPPER.format(folder=folder), encoding="utf-8")
        wrapper.chmod(0o755)
        subprocess.run([*tool, "--kubectl", str(wrapper)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        sizes = (Path(folder) / "bytes").read_text(encoding="utf-8").split()
    return len(sizes), sum(map(int, sizes))


@contextmanager
def changing(space: str, times: int) -> Iterator[None]:
    """Changes a pod that is not ours so many times a second."""
    proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
    assert proxy.stdout
    found = re.search(r":(\d+)", proxy.stdout.readline())
    assert found
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.wait(1 / times):
            number += 1
            body = json.dumps({"metadata": {"annotations": {"changed": str(number)}}}).encode()
            url = f"http://127.0.0.1:{found[1]}/api/v1/namespaces/{space}/pods/other-{number % 100}"
            headers = {"Content-Type": "application/merge-patch+json"}
            urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PATCH")).read()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        proxy.kill()
        proxy.wait()


def measure(tool: list[str], space: str, counts: tuple[int, ...] = (0, 1_000, 5_000), times: int = 9) -> Iterator[tuple[str, str]]:
    """A finished Deployment `web` among more and more pods of others, whole runs; then one that waits while these change."""
    theirs, there, first = ["kubectl", "-n", space, "rollout", "status", "deployment/web"], 0, 0.0
    ours = [*tool, "-n", space, "deployment/web"]
    for count in counts:
        add_pods(space, there, count)
        there = count
        runs = sorted(weigh(ours) for _ in range(times))
        seconds, cpu, _ = runs[times // 2]
        first = first or seconds
        kubectl = sorted(weigh(theirs) for _ in range(times))[times // 2][0]
        calls, read = count_reads(ours)
        memory = max(most for *_, most in runs)
        against = (
            f"{seconds / kubectl:.1f} times `kubectl rollout status`, {kubectl * 1000:.0f} ms; {seconds / first:.2f} times that of none"
        )
        costs = f"{cpu * 1000:.0f} ms of CPU, {memory} MB; kubectl {calls} times, {read / 1000:,.0f} kB"
        yield f"a finished Deployment among {count:,} pods of others: whole run", f"{seconds * 1000:.0f} ms ({against}), {costs}"
    never = [*ours, "--expect", "self.spec.replicas == `7`", "--timeout"]
    with changing(space, 10):
        short, long = weigh([*never, "10s"])[1], weigh([*never, "70s"])[1]
    yield f"the same, while it waits and 10 of {there:,} pods of others change each second", f"{(long - short) / 60 * 100:.1f} % of a core"
