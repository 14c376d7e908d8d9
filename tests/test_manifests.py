"""Annotations in which tools keep what they have applied: no recording has them."""

import base64
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run, snapshot

from rollout_status_lib.sources.manifests import is_manifest

Program = Callable[..., str]
OBJECT = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"password": "zebra-7Qx"}})
YAML = "apiVersion: v1\nkind: Pod\nspec:\n  x: zebra-7Qx\n"


def encode(content: bytes, *, url: bool = False) -> str:
    return (base64.urlsafe_b64encode if url else base64.b64encode)(content).decode()


def zipped(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("original", text)
    return file.getvalue()


MANIFESTS = {
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "kapp.k14s.io/original": OBJECT,
    "objectset.rio.cattle.io/applied": encode(gzip.compress(OBJECT.encode())),
    "banzaicloud.com/last-applied": encode(zipped(OBJECT)),
    "example.com/zip": encode(zipped(OBJECT)),
    "example.com/zlib": encode(zlib.compress(YAML.encode())),
    "example.com/yaml": YAML,
    "example.com/list": f"[{OBJECT}]",
    "example.com/in-json": json.dumps({"was": OBJECT}),
    "example.com/base64": encode(OBJECT.encode()),
    "example.com/base64url": encode(OBJECT.encode() + b"\xff\xfe>?", url=True).rstrip("="),
}
OTHERS = {
    "deployment.kubernetes.io/revision": "3",
    "meta.helm.sh/release-name": "web",
    "example.com/digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "example.com/hash": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "example.com/no-zip": encode(b"PK" + b"x" * 40),
    "example.com/no-gzip": encode(b"\x1f\x8b" + b"x" * 40),
    "example.com/settings": '{"kind": "fast"}',
}


@pytest.mark.parametrize("key", MANIFESTS)
def test_a_manifest_is_one_however_it_is_packed(key: str) -> None:
    assert is_manifest(key, MANIFESTS[key])


@pytest.mark.parametrize("key", OTHERS)
def test_what_is_no_manifest_is_none(key: str) -> None:
    assert not is_manifest(key, OTHERS[key])


def test_what_unpacks_without_end_is_cut_off() -> None:
    for packed in (gzip.compress(b" " * (64 << 20)), zipped(" " * (64 << 20))):
        assert not is_manifest("x", encode(packed))


def test_no_recording_has_a_manifest_of_a_tool(kubectl: Program, tmp_path: Path) -> None:
    """Those of templates leave a number: templates that differ in nothing else still differ."""
    content = json.loads(snapshot("deployment/success").read_text())
    for item in content["items"]:
        item["metadata"].setdefault("annotations", {}).update({**MANIFESTS, **OTHERS})
        if "template" in item.get("spec", {}):
            item["spec"]["template"].setdefault("metadata", {})["annotations"] = {"kapp.k14s.io/original": OBJECT}
        if item["kind"] == "ReplicaSet":
            item["metadata"]["annotations"] |= {"deployment.kubernetes.io/revision": "1"}
            older = json.loads(json.dumps(item))
            older["metadata"] |= {"name": "older", "uid": "older", "creationTimestamp": "2001-01-01T00:00:00Z"}
            older["spec"]["template"]["metadata"]["annotations"] = {"kapp.k14s.io/original": OBJECT.replace("web", "old")}
            older["spec"]["replicas"] = older["status"]["replicas"] = 0
    content["items"].append(older)
    (tmp_path / "now.json").write_text(json.dumps(content))
    folder = tmp_path / "recording"
    assert run("--kubectl", kubectl(f"cat {tmp_path}/now.json"), "deployment/web", "--record", str(folder)).exit == 0
    items = json.loads((folder / "001.json").read_text())["items"]
    text = json.dumps(items)
    for secret in ("zebra", *(MANIFESTS[key] for key in MANIFESTS if len(MANIFESTS[key]) > 2)):
        assert secret not in text
    for item in items:
        assert not MANIFESTS.keys() & item["metadata"]["annotations"].keys()
        assert OTHERS.keys() <= item["metadata"]["annotations"].keys()
    notes = {item["spec"]["template"]["metadata"]["annotations"]["kapp.k14s.io/original"] for item in items if item["kind"] == "ReplicaSet"}
    assert len(notes) == 2
    assert run("--replay", str(folder), "deployment/web").exit == 0
