"""Prints what the published OpenAPI document of Kubernetes says of a Job, without its prose,
for job/engine/testdata: python3 schema.py apis__batch__v1_openapi.json >job.schema.json
The document is api/openapi-spec/v3 of the module k8s.io/kubernetes."""

import json
import sys

schemas = json.load(open(sys.argv[1]))["components"]["schemas"]
out = {}


def keep(o):
    r = {}
    for k, v in o.items():
        if k == "$ref":
            r[k] = v.split("/")[-1]
            add(r[k])
        elif k in ("type", "required", "enum"):
            r[k] = v
        elif k in ("items", "additionalProperties"):
            r[k] = keep(v)
        elif k == "properties":
            r[k] = {name: keep(p) for name, p in v.items()}
        elif k in ("allOf", "oneOf"):
            r[k] = [keep(p) for p in v]
    return r["allOf"][0] if list(r) == ["allOf"] else r


def add(name):
    if name not in out:
        out[name] = {}
        out[name] = keep(schemas[name])


add("io.k8s.api.batch.v1.Job")
print("{" + ",\n".join(f"{json.dumps(n)}:{json.dumps(out[n], separators=(',', ':'))}" for n in sorted(out)) + "}")
