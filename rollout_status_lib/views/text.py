"""The result as text for people: -o text."""

from __future__ import annotations

from rollout_status_lib import Json
from rollout_status_lib.clean import to_line


def render_text(result: dict[str, Json]) -> str:
    """The result for people: what has failed, and why; of what is only on its way then, the names."""
    lines = ["The rollout succeeded." if result["success"] else "The rollout did not succeed."]
    workloads = result.get("workloads", ())
    waits = {name_place(workload): workload.get("waitingFor", ()) for workload in workloads}
    for entry in [result["error"], *result.get("errors", ())] if "error" in result else ():
        lines.append(f"{entry['code']}: {entry['message']}")
        if "resource" in entry and entry["resource"] == entry["workload"]:  # what its pods wait for says more
            lines += [f"  while: {sentence}" for sentence in waits[name_place(entry["workload"])][:1] if entry is result["error"]]
        elif "resource" in entry:
            more = f" and {entry['count'] - 1} more" if entry["count"] > 1 else ""
            lines.append(f"  in {'/'.join(entry['resource'].values())}{more}")
        lines += [f"  | {line}" for line in entry.get("log", "").splitlines()]
        lines += [f"  see: {entry['hint']}"] if "hint" in entry else []
    has_failed = any(workload["status"] == "failed" for workload in workloads)
    on_their_way = [name_place(each) for each in workloads if has_failed and (each["status"], "code" in each) == ("waiting", False)]
    for workload in sorted(workloads, key=lambda each: ORDER.index((each["status"], "code" in each))):
        if name_place(workload) not in on_their_way:
            lines.append(f"{workload['status']}: {name_place(workload)}: {workload['message']}")
            lines += [f"  changed: {change}" for change in workload.get("changes", ())]
            lines += [f"  to roll back: {workload['rollback']}"] if "rollback" in workload else []
    lines += [f"on their way: {', '.join(on_their_way)}"] if on_their_way else []
    return "\n".join(map(to_line, [*lines, *(f"note: {note}" for note in result.get("notes", ()))]))


def name_place(workload: Json) -> str:
    """How a text names a workload of the result."""
    return f"{workload['namespace']}/{workload['kind']}/{workload['name']}"


# In which a text lists workloads: status, and whether it waits in a state that may become a failure
ORDER = (("failed", False), ("waiting", True), ("waiting", False), ("ready", False), ("ignored", False))
