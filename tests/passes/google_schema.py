"""A strict reading of Google's discovery document: what is not in it is a fault."""

import json
import re
from datetime import datetime
from importlib.resources import files
from typing import Any

_DOCUMENT = json.loads(
    files("googleapiclient")
    .joinpath("discovery_cache", "documents", "walletobjects.v1.json")
    .read_text("utf-8")
)
# Old spellings that the document still lists beside the ones it recommends.
_LEGACY = re.compile(r"[a-z]")


def faults(schema_name: str, value: Any) -> list[str]:
    """What is wrong with ``value`` as ``schema_name``: unknown properties, types, formats, enum values."""
    return list(_against({"$ref": schema_name}, value, schema_name))


def _against(schema: dict[str, Any], value: Any, place: str) -> Any:
    if "$ref" in schema:
        schema = _DOCUMENT["schemas"][schema["$ref"]]
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            yield f"{place}: not an object"
            return
        for name, member in value.items():
            if name not in schema["properties"]:
                yield f"{place}.{name}: not in the discovery document"
            else:
                yield from _against(schema["properties"][name], member, f"{place}.{name}")
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{place}: not an array"
            return
        for number, member in enumerate(value):
            yield from _against(schema["items"], member, f"{place}[{number}]")
    else:
        yield from _scalar(schema, value, place)


def _scalar(schema: dict[str, Any], value: Any, place: str) -> Any:
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string":
        if not isinstance(value, str):
            yield f"{place}: not a string"
        elif form == "int64" and not re.fullmatch(r"-?[0-9]+", value):
            yield f"{place}: not an integer as a string"
        elif "enum" in schema and (value not in schema["enum"] or _LEGACY.search(value)):
            yield f"{place}: {value!r} is not among the values"
        elif place.endswith((".start.date", ".end.date")) and datetime.fromisoformat(value).tzinfo is None:
            yield f"{place}: no offset"
    elif kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            yield f"{place}: not an integer"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{place}: not a boolean"
    elif kind == "number":
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{place}: not a number"
    else:
        yield f"{place}: kind {kind!r} is not checked"
