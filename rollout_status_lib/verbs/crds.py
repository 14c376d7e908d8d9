"""What CustomResourceDefinitions say of the fields of their objects, for lint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from rollout_status_lib import Json
from rollout_status_lib.errors import RolloutError, describe_error
from rollout_status_lib.objects import get_field

ANY: Json = {"*": {}}  # any fields


def read_crds(paths: Sequence[Path]) -> dict[str, Json]:
    """The schema of the objects of each resource that is defined in these files, by the resource: widgets.example.com.

    RolloutError `usage` for a file without a definition.
    """
    found: dict[str, Json] = {}
    for path in paths:
        try:
            documents = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RolloutError("usage", f"{path}: cannot be read: {' '.join(describe_error(error).split())}") from None
        schemas = {name: schema for document in documents for name, schema in list_schemas(document)}
        if not schemas:
            raise RolloutError("usage", f"{path} has no CustomResourceDefinition with a schema: kubectl get crd NAME -o yaml >{path.name}")
        found |= schemas
    return found


def list_schemas(document: Json) -> Iterator[tuple[str, Json]]:
    """The resource and the schema of each definition in a document. Of several versions the one that is stored counts."""
    for each in (get_field(document, "items") or [document]) if isinstance(document, dict) else ():
        versions = get_field(each, "spec", "versions")
        if get_field(each, "kind") == "CustomResourceDefinition" and isinstance(versions, list):
            for version in sorted(versions, key=lambda version: get_field(version, "storage") is True):
                schema = get_field(version, "schema", "openAPIV3Schema")
                if isinstance(schema, dict):
                    yield f"{get_field(each, 'spec', 'names', 'plural')}.{get_field(each, 'spec', 'group')}", schema


def make_tree(schema: Json) -> Json:
    """The fields that a schema allows, each with those of its own value. Those of a list's entries count as the list's."""
    if not isinstance(schema, dict):
        return ANY
    if "items" in schema:
        return {**make_tree(schema["items"]), "[]": {}}
    properties = schema.get("properties")
    tree = {name: make_tree(each) for name, each in properties.items()} if isinstance(properties, dict) else {}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
    return {**tree, **ANY} if is_open or (schema.get("type") == "object" and not tree) else tree


def list_always(schema: Json, path: str = "") -> Iterator[str]:
    """The paths that each object has: those that are required, or have a default, in what is there."""
    properties = schema.get("properties")
    for name, each in (properties if isinstance(properties, dict) else {}).items():
        if isinstance(each, dict) and (name in schema.get("required", ()) or "default" in each):
            yield f"{path}{name}"
            yield from list_always(each, f"{path}{name}.")
