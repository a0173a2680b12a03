"""Every route of the API, asked for things by their names, their ids and the beginnings of those, in bodies as well."""

import random
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    body: dict | None


def walk(document, things, fields, number, seed):
    """Yield so many requests, each route among them. `things`: by a path's parameter the words for it, first names,
    then ids; `fields`: by a body's field what goes into it."""
    draw = random.Random(seed)
    operations = [
        (method.upper(), path, _body_of(document, operation))
        for path, methods in document["paths"].items()
        if not path.endswith("/stream")
        for method, operation in methods.items()
    ]
    made = 0
    while made < number:
        draw.shuffle(operations)
        for method, path, schema in operations[: number - made]:
            full = _QUERY.get(path, "") or draw.choice(_QUERIES)
            words = re.sub(r"{(\w+)}", lambda found: _word(draw, things, found[1]), path)
            body = None if method in ("GET", "DELETE") else _filled(document, schema, fields, draw)
            yield Asked(method, words + full, body)
            made += 1


_QUERIES = (
    "",
    "",
    "?all_projects=true",
    "?path=/etc/shadow",
    "?path=/&find=*",
    "?limit=1000",
    "?machine=vm-1&anew=true",
)
_QUERY = {"/v1/vaults/{vault}/file/{point}": "?path=/etc/shadow"}


def _word(draw, things, parameter):
    word = draw.choice(things.get(parameter) or ["nothing"])
    return word[: draw.choice((4, 8))] if len(word) == 36 and draw.random() < 0.3 else word


def _body_of(document, operation):
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return _resolved(document, content.get("schema", {}))


def _resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _filled(document, schema, fields, draw):
    """Fill in what is required, and some of the rest. A field takes one of what there is for it, and is never
    empty-handed."""
    properties = schema.get("properties")
    if properties is None:
        return dict(draw.choice(fields["of_anything"]))
    required, whole, body = set(schema.get("required", ())), draw.random() < 0.5, {}
    for name, about in properties.items():
        if name in fields and (name in required or whole):
            body[name] = draw.choice(fields[name])
        elif name in required:
            kind = _resolved(document, about).get("type", "string")
            body[name] = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(kind, "x")
    return body
