"""A program that stands in for kubectl and for the API server behind it: it chooses among the objects of a file as they would.

    cluster.py FILE CALLS DATE [kubectl's arguments]

It adds to CALLS how it was called, and how many objects it gave. DATE is the cluster's time.
"""

import json
import re
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

Object = dict


def plural(kind: str) -> str:
    return {"y": f"{kind[:-1]}ies", "s": f"{kind}es"}.get(kind[-1], f"{kind}s")


def resource(each: Object) -> str:
    group = each["apiVersion"].rpartition("/")[0]
    return f"{plural(each['kind'].lower())}{f'.{group}' if group else ''}"


def matches(labels: dict, selector: str) -> bool:
    """True if labels satisfy a selector as it is written for the API."""
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        if found := re.fullmatch(r"(\S+) (in|notin) \((.*)\)", part):
            is_in = labels.get(found[1]) in found[3].split(",")
            good = is_in if found[2] == "in" else not is_in
        elif "=" in part:
            key, _, value = part.partition("=")
            good = labels.get(key) == value
        else:
            good = part[1:] not in labels if part[0] == "!" else part in labels
        if not good:
            return False
    return True


def choose(objects: list, resources: list, namespace: str, labels: str, field: str) -> list:
    name = field.removeprefix("metadata.name=")
    return [
        each
        for each in objects
        if resource(each) in resources or resource(each).partition(".")[0] in resources
        if not namespace or each["metadata"].get("namespace") in (None, namespace)
        if matches(each["metadata"].get("labels") or {}, labels) and name in ("", each["metadata"]["name"])
    ]


def read_raw(objects: list, address: str) -> list:
    parts, query = urlsplit(address).path.strip("/").split("/"), parse_qs(urlsplit(address).query)
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
    group = f".{parts[1]}" if parts[0] == "apis" else ""
    field = unquote(query.get("fieldSelector", [""])[0])
    return choose(objects, [parts[-1] + group], namespace, query.get("labelSelector", [""])[0], field)


def get(objects: list, arguments: list) -> list:
    """What `kubectl get` gives for RESOURCE,... or for RESOURCE/NAME ..."""
    flags = {flag: arguments[arguments.index(flag) + 1] for flag in ("-n", "-l", "--field-selector") if flag in arguments}
    words = [word for word in arguments if word[:1] != "-" and word not in (*flags.values(), "get", "json")]
    if any("/" in word for word in words):
        named = [word.split("/") for word in words]
        return [each for kind, name in named for each in choose(objects, [kind], flags.get("-n", ""), "", f"metadata.name={name}")]
    return choose(objects, words[0].split(","), flags.get("-n", ""), flags.get("-l", ""), flags.get("--field-selector", ""))


def note(calls: str, words: list) -> None:
    with Path(calls).open("a") as log:
        log.write(f"{' '.join(words)}\n")


def main(file: str, calls: str, date: str, *arguments: str) -> None:
    words = [word for word in arguments if not word.startswith(("--request-timeout", "-v="))]
    if "-v=8" in arguments:
        print(f"I0101 00:00:00.000000       1 round_trippers.go:1]     Date: {date}", file=sys.stderr)
    objects = json.loads(Path(file).read_text())["items"]
    found = []
    if words[:2] == ["get", "--raw"]:
        if "watch=1" in words[2]:
            note(calls, words)
            print("I0101 00:00:00.000000       1 round_trippers.go:1] GET 200 OK in 1 milliseconds", file=sys.stderr, flush=True)
            time.sleep(1000)
        found = read_raw(objects, words[2])
        print(json.dumps({"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": "4711"}, "items": found}))
    elif words[:1] == ["get"]:
        found = get(objects, words)
        if found or "--ignore-not-found" not in words:
            print(json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": ""}, "items": found}))
    elif words[:1] == ["config"]:
        print(objects[0]["metadata"].get("namespace", "default"))
    note(calls, [*words, "#", str(len(found))])


if __name__ == "__main__":
    main(*sys.argv[1:])
