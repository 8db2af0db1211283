"""Compares the package with api/openapi.yaml, in both directions."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from types import NoneType
from typing import Any

import cellblock
import pytest
import yaml
from cellblock import decoding, errors, events, models, options, requests
from service import ROOT

CONTRACT = yaml.safe_load((ROOT / "api" / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]

METHODS = {
    "execute": {"run", "submit"},
    "listEnvironments": {"environments"},
    "listJobs": {"list"},
    "getUsage": {"usage"},
    "getActivity": {"activity"},
    "listWorkers": {"workers"},
    "getWebhookSecret": {"webhook_secret"},
    "getJob": {"get", "wait"},
    "cancelJob": {"cancel"},
    "watchJob": {"watch"},
    "getJobFile": {"file", "stream_file"},
    "uploadFile": {"upload_file"},
    "getFile": {"download_file"},
    "deleteFile": {"delete_file"},
    "createBatch": {"submit_batch"},
    "getBatch": {"get_batch", "wait_batch"},
    "cancelBatch": {"cancel_batch"},
    "getBatchResults": {"batch_results"},
    "getHealth": {"health"},
    "getReady": {"ready"},
    "getMetrics": {"metrics"},
}

MODELS: dict[str, type[Any]] = {
    "Accepted": models.Accepted,
    "Activity": models.Activity,
    "ActivityMinute": models.ActivityMinute,
    "Batch": models.Batch,
    "BatchAccepted": models.BatchAccepted,
    "BatchCounts": models.BatchCounts,
    "BatchMember": models.BatchMember,
    "BatchResult": models.BatchResult,
    "Callback": models.Callback,
    "CallbackMessage": models.CallbackMessage,
    "DayUsage": models.DayUsage,
    "Display": models.Display,
    "DisplayForm": models.DisplayForm,
    "Environment": models.Environment,
    "EnvironmentList": models.EnvironmentList,
    "EnvironmentPackage": models.EnvironmentPackage,
    "Error": models.ErrorBody,
    "ExecuteResult": models.ExecuteResult,
    "Health": models.Health,
    "Job": models.Job,
    "JobLimits": models.JobLimits,
    "JobList": models.JobList,
    "JobSummary": models.JobSummary,
    "Limit": models.Limit,
    "OmittedDisplay": models.OmittedDisplay,
    "OmittedFile": models.OmittedFile,
    "OutputEvent": events.Output,
    "OutputFile": models.OutputFile,
    "Ready": models.Ready,
    "StateEvent": events.State,
    "StoredFile": models.StoredFile,
    "Truncated": models.Truncated,
    "Usage": models.Usage,
    "UsageReport": models.UsageReport,
    "UsageTotals": models.UsageTotals,
    "WebhookSecret": models.WebhookSecret,
    "Worker": models.Worker,
    "WorkerEnvironment": models.WorkerEnvironment,
    "WorkerList": models.WorkerList,
}
# Parts of the above, and requests, which other tests cover.
OTHERS = {
    *("ErrorCode", "JobId", "JobStatus", "Result", "Output", "OutputFiles", "Stdout"),
    *("OmittedFiles", "Notes", "Displays", "OmittedDisplays", "Entry"),
    *("EnvironmentName", "TenantName"),
    *("Stderr", "FailureDetail", "FilePath", "InputFile", "ExecuteRequest"),
    *("ExecuteForm", "RequestLimits", "Labels"),
}
# The client runs scripts; operators manage keys by the command line.
ADMIN_SCHEMAS = {
    *("Key", "KeyList", "KeyRequest", "NewKey", "RotateRequest", "Scope"),
    *("TenantLimits", "TenantName"),
}


def is_admin(operation: dict[str, Any]) -> bool:
    return operation.get("tags") == ["admin"]


# Fields of a model that its schema lacks: the position of an event in its stream.
MORE: dict[type[Any], set[str]] = {
    events.Output: {"id", "stream"},
    events.State: {"id"},
}


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Resolve a reference to a schema."""
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def properties(schema: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """All properties of a schema and its parts, and the names of the required ones."""
    schema = resolve(schema)
    found = dict(schema.get("properties", {}))
    required = set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more, needed = properties(part)
        found |= more
        required |= needed
    return found, required


def public(cls: type[Any]) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def operations() -> list[str]:
    paths = CONTRACT["paths"].values()
    return [
        operation["operationId"]
        for path in paths
        for operation in path.values()
        if "operationId" in operation and not is_admin(operation)
    ]


def test_each_operation_has_a_method_and_each_method_an_operation() -> None:
    assert set(operations()) == set(METHODS)
    methods = set().union(*METHODS.values())
    assert public(cellblock.Client) == methods | {"close"}
    assert public(cellblock.AsyncClient) == methods | {"aclose"}


@pytest.mark.parametrize("client", [cellblock.Client, cellblock.AsyncClient])
def test_each_method_has_the_signature_of_its_plan(client: type[Any]) -> None:
    for name in set().union(*METHODS.values()):
        method = vars(client)[name]
        signature = inspect.signature(method)
        assert method.__doc__
        assert next(iter(signature.parameters)) == "self"
        emits = inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(
            method
        )
        assert ("Iterator[" in signature.return_annotation) == emits
        assert "Plan" not in signature.return_annotation
    shown = inspect.signature(client.run).return_annotation
    assert shown == "ExecuteResult"


def test_each_code_has_a_class_and_each_class_a_code() -> None:
    assert set(errors.CODES) == set(SCHEMAS["ErrorCode"]["enum"])
    made = {errors.CellblockError, errors.Unreachable, errors.NotEnded}
    made |= {errors.UnexpectedResponse, errors.Refused, errors.JobFailed}
    made |= {errors.ClientClosed}
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    classes = {each for each in found if issubclass(each, Exception)}
    assert classes == made | set(errors.CODES.values())
    for cls in classes:
        assert getattr(cellblock, cls.__name__) is cls
        assert cls.__name__ in cellblock.__all__
        assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_fields_of_its_schema(name: str) -> None:
    model = MODELS[name]
    found, required = properties(SCHEMAS[name])
    fields = {field.name: field for field in dataclasses.fields(model)}
    assert set(fields) - MORE.get(model, set()) == set(found)
    hints = typing.get_type_hints(model)
    for each, schema in found.items():
        defaults = (fields[each].default, fields[each].default_factory)
        needed = defaults == (dataclasses.MISSING, dataclasses.MISSING)
        assert needed == (each in required), each
        assert matches(hints[each], schema, optional=not needed), each


def matches(hint: Any, schema: dict[str, Any], *, optional: bool) -> bool:
    """Whether a field's type matches the schema."""
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = resolve(schema)
    if hint is Any:
        return bool(name == "Result" or "object" in schema["type"])
    parts = set(typing.get_args(hint)) if NoneType in typing.get_args(hint) else {hint}
    kinds = schema.get("type", "object")
    nullable = "null" in kinds if isinstance(kinds, list) else False
    # A field that is empty by default needs no None.
    if not (NoneType in parts if optional or nullable else NoneType not in parts):
        return optional and kinds in ("string", "array", "object")
    (hint,) = parts - {NoneType}
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return kinds == "array" and matches(inner, schema["items"], optional=False)
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint)) == set(schema["enum"])
    if typing.get_origin(hint) is dict:
        inner = typing.get_args(hint)[1]
        return matches(inner, schema["additionalProperties"], optional=False)
    if dataclasses.is_dataclass(hint):
        return MODELS.get(name) is hint
    kind = next(k for k in kinds if k != "null") if isinstance(kinds, list) else kinds
    formats = {"date-time": datetime, "date": date}
    if schema.get("format") in formats:
        return hint is formats[schema["format"]]
    python = {"string": str, "integer": int, "number": float, "boolean": bool}
    return python.get(kind) is hint


def test_each_schema_has_a_model() -> None:
    assert set(SCHEMAS) == set(MODELS) | OTHERS | ADMIN_SCHEMAS


def test_options_match_the_contract() -> None:
    found, _ = properties(SCHEMAS["ExecuteRequest"])
    form, _ = properties(SCHEMAS["ExecuteForm"])
    given = set(typing.get_type_hints(options.JobRequest))
    assert given | {"async"} == set(found) == set(form) - {"file_refs"}
    limits = set(typing.get_type_hints(options.Limits))
    assert limits == set(SCHEMAS["RequestLimits"]["properties"])
    hints = typing.get_type_hints(options.Options)
    priority = typing.get_args(typing.get_args(hints["priority"])[0])
    assert set(priority) == set(found["priority"]["enum"])
    entry = typing.get_args(typing.get_args(hints["entry"])[0])
    assert set(entry) == set(found["entry"]["enum"])


def test_every_option_is_sent() -> None:
    job: options.JobRequest = {
        "script": "s",
        "entry": "main",
        "args": {"a": 1},
        "stdin": "i",
        "env": {"E": "e"},
        "files": {"f": b"\xff"},
        "limits": {"processes": 1},
        "priority": "low",
        "callback_url": "https://example.com/",
        "start_within": 1.5,
        "environment": "data-science",
        "labels": {"customer": "42"},
    }
    assert set(job) == set(typing.get_type_hints(options.JobRequest))
    sent = {**job, "files": [{"path": "f", "content_base64": "/w=="}]}
    for request in (
        requests.execute(job, key=None),
        requests.create_batch([job], key="k"),
    ):
        assert json.loads(request.content or b"") == sent
    large = requests.execute({**job, "files": {"f": bytes(1 << 20)}}, key="k")
    assert large.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    for name in job:
        assert f'name="{name}"'.encode() in (large.content or b"")


def test_every_filter_of_lists_is_sent() -> None:
    query: options.ListQuery = {
        "status": "failed",
        "tenant": "acme",
        "code": "timeout",
        "environment": "data-science",
        "labels": {"customer": "42", "example.com/run": ""},
        "since": datetime(2026, 1, 2, 5, 4, 5, 6000, timezone(timedelta(hours=2))),
        "until": timedelta(minutes=90),
    }
    assert set(query) == set(typing.get_type_hints(options.ListQuery))
    sent = requests.list_jobs(query, 20, "c").params
    assert sent == {
        "status": "failed",
        "tenant": "acme",
        "code": "timeout",
        "environment": "data-science",
        "label": ["customer:42", "example.com/run:"],
        "since": "2026-01-02T03:04:05.006000Z",
        "until": "5400.000000s",
        "limit": "20",
        "cursor": "c",
    }
    documented = {p["name"] for p in CONTRACT["paths"]["/jobs"]["get"]["parameters"]}
    assert set(sent) == documented
    status = typing.get_type_hints(options.ListQuery)["status"]
    assert typing.get_args(status)[0] == models.JobStatus
    assert requests.list_jobs({}, None, None).params == {}


def responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each response of each operation, with a name."""
    shared = CONTRACT["components"]["responses"]
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            if is_admin(operation):
                continue
            for status, response in operation["responses"].items():
                name = response.get("$ref", "").rpartition("/")[2]
                yield f"{method} {path} {status}", shared.get(name, response)


def examples() -> Iterator[Any]:
    """Each JSON example of a response, with the name of its model."""
    for where, response in responses():
        media = response.get("content", {}).get("application/json", {})
        model = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
        for title, example in media.get("examples", {}).items():
            yield pytest.param(model, example["value"], id=f"{where} {title}")


@pytest.mark.parametrize(("name", "value"), [*examples()])
def test_contract_examples_decode(name: str, value: Any) -> None:
    # PyYAML does not convert quoted texts to times, so this is what JSON has.
    model = decoding.build(MODELS[name], {**value, "later": 1})
    for key, expected in value.items():
        if not isinstance(expected, dict | list) and not key.endswith(("at", "_day")):
            assert getattr(model, key) == expected
