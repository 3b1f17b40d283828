"""Compares the parameters of the typed operations, and those that select an operation, with botocore's model of S3.

    python3 s3_model.py src/service/request/operations.rs proto/presign/v1/presign.proto src/presign/parameters.rs

Prints one line for each difference and exits 1, or prints the counts and exits 0.
"""

import re
import sys
from pathlib import Path

import botocore
import botocore.session

SECTIONS = {"header": "headers", "querystring": "query", "headers": "maps"}
TYPES = {
    "string": "string",
    "integer": "optional int32",
    "long": "optional int64",
    "boolean": "optional bool",
    "timestamp": "google.protobuf.Timestamp",
    "list": "repeated string",
    "map": "map<string, string>",
}
# The model has a timestamp here; presignd accepts any text and passes it on unchanged.
TYPE_EXCEPTIONS = {("headers", "expires"): "string"}
# S3 accepts it with every body, even if the model does not list it.
OUTSIDE_THE_MODEL = {("headers", "content-length")}


def read_table(text):
    """Parses the Rust registry: {operation: {(section, wire name): field}}, {operation: tag}, and its format errors."""
    operations, tags, problems = {}, {}, []
    body = re.search(r"^operations! \{\n(.*?)^\}", text, re.M | re.S)
    blocks = r"^    (\d+) (\w+) => \w+ \{\n(.*?)^    \}"
    for tag, name, block in re.findall(blocks, body[1] if body else "", re.M | re.S):
        rows, tags[name] = {}, tag
        sections = re.findall(r"^        (\w+) \{(.*?)\}", block, re.M | re.S)
        if [section for section, _ in sections] != ["headers", "query", "maps"]:
            problems.append(f"{name}: the sections are not headers, query, maps")
        for section, lines in sections:
            entries = re.findall(r'(\w+): "([^"]+)",', lines)
            if len(entries) != lines.count(":"):
                problems.append(f"{name}: {section} has a line that cannot be read")
            for field, wire in entries:
                if (section, wire) in rows:
                    problems.append(f"{name}: {wire} appears twice in {section}")
                if section != "query" and wire != wire.lower():
                    problems.append(f"{name}: {wire} is not in lower case")
                rows[section, wire] = field
        if name in operations:
            problems.append(f"{name}: appears twice in the table")
        operations[name] = rows
    return operations, tags, problems


def read_proto(text):
    """Parses the proto file: {operation: tag} of PresignRequest in order, and {message: {field: type}}."""
    text = re.sub(r"//.*", "", text)
    messages = dict(re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.M | re.S))
    oneof = re.search(r"oneof operation \{(.*?)\}", messages.get("PresignRequest", ""), re.S)
    operations = dict(re.findall(r"(\w+) \w+ = (\d+);", oneof[1] if oneof else ""))
    fields = {
        name: {field: kind for kind, field in re.findall(r"^  (\S.*?) (\w+) = \d+", body, re.M)}
        for name, body in messages.items()
    }
    operations.pop("Http", None)
    return operations, fields


def read_model(service, operation):
    """Reads one operation of the model: {(section, wire name): (name in S3, type in the proto)}."""
    rows = {}
    for name, shape in service.operation_model(operation).input_shape.members.items():
        section = SECTIONS.get(shape.serialization.get("location"))
        if section:
            wire = shape.serialization["name"]
            key = (section, wire if section == "query" else wire.lower())
            rows[key] = (name, TYPE_EXCEPTIONS.get(key, TYPES[shape.type_name]))
    return rows


def compare(operation, table, fields, model):
    """Yields a sentence for each difference of one operation."""
    for section, wire in sorted(model.keys() - table.keys()):
        yield f"{operation}: {model[section, wire][0]} ({wire}) is missing from {section}"
    for section, wire in sorted(table.keys() - model.keys() - OUTSIDE_THE_MODEL):
        yield f"{operation}: {wire} in {section} is not in the model"
    for key in sorted(table.keys() & model.keys()):
        field, (name, kind) = table[key], model[key]
        if field.replace("_", "") != name.lower():
            yield f"{operation}: {field} is not {name} in snake_case"
        if field in fields and fields[field] != kind:
            yield f"{operation}: {field} is {fields[field]} in the proto, expected {kind}"
    if len(set(table.values())) != len(table):
        yield f"{operation}: a field appears twice in the table"
    for field in sorted(fields.keys() - set(table.values())):
        yield f"{operation}: {field} is in the proto, but not in the table"
    for field in sorted(set(table.values()) - fields.keys()):
        yield f"{operation}: {field} is in the table, but not in the proto"


def compare_operation_query(text, service):
    """Yields a sentence for each query parameter in a request URI that is missing from OPERATION_QUERY."""
    table = re.search(r"OPERATION_QUERY: \[&str; \d+\] = \[(.*?)\];", text, re.S)
    known = set(re.findall(r'"([^"]+)"', table[1])) if table else set()
    for operation in service.operation_names:
        query = service.operation_model(operation).http["requestUri"].partition("?")[2]
        for name in sorted({part.partition("=")[0] for part in query.split("&") if part} - known):
            yield f"{operation}: {name} selects it, but is missing from OPERATION_QUERY"


def main(table_path, proto_path, query_path):
    service = botocore.session.get_session().get_service_model("s3")
    table, tags, differences = read_table(Path(table_path).read_text(encoding="utf-8"))
    operations, fields = read_proto(Path(proto_path).read_text(encoding="utf-8"))
    if not table:
        differences.append(f"no operations in {table_path}")
    if not operations:
        differences.append(f"no operations in {proto_path}")
    if list(tags.items()) != list(operations.items()):
        differences.append("the table does not have the operations of the proto, with their tags, in their order")
    for operation in operations:
        if operation not in service.operation_names:
            differences.append(f"{operation}: not an operation of S3")
            continue
        model = read_model(service, operation)
        differences += compare(operation, table.get(operation, {}), fields.get(operation, {}), model)
    differences += compare_operation_query(Path(query_path).read_text(encoding="utf-8"), service)
    if differences:
        print("\n".join(differences))
        return 1
    parameters = sum(len(rows) for rows in table.values())
    print(f"{len(table)} operations, {parameters} parameters: equal (botocore {botocore.__version__})")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: s3_model.py OPERATIONS.rs PRESIGN.proto QUERY.rs")
    sys.exit(main(*sys.argv[1:]))
