"""Reads the array jobs for AWS and Google Batch on a page strictly, with what their clients
know of them: unknown fields, missing ones and other types are errors; with the name of any field
changed they have to be refused. No account is needed."""

import copy
import json
import re
import sys

import botocore.session
from botocore.validate import ParamValidator
from google.cloud import batch_v1
from google.protobuf import json_format


def aws(job):
    model = botocore.session.get_session().get_service_model("batch")
    shape = model.operation_model("SubmitJob").input_shape
    report = ParamValidator().validate(job, shape)
    unknown(job, shape)
    return report.generate_report() if report.has_errors() else None


def unknown(value, shape):
    """Of fields that it does not know, the client tells at the top alone."""
    if shape.type_name == "structure":
        for name, v in value.items():
            if name not in shape.members:
                raise ValueError(f"{shape.name} has no {name}")
            unknown(v, shape.members[name])
    elif shape.type_name == "list":
        for v in value:
            unknown(v, shape.member)


def google(job):
    read = batch_v1.Job.pb(batch_v1.Job())
    json_format.ParseDict(job, read)
    group = read.task_groups[0]
    return None if group.task_count > 0 and group.task_spec.runnables else "no tasks, or nothing to run"


def refused(check, job):
    try:
        return check(job)
    except (ValueError, json_format.ParseError) as e:
        return str(e)


def changed(job):
    """Copies of the job with one name of a field changed in each."""
    for key in list(job) if isinstance(job, dict) else range(len(job)) if isinstance(job, list) else []:
        if isinstance(job, dict) and key != "variables":
            other = {("x" + k if k == key else k): v for k, v in job.items()}
            yield key, other
        for name, inner in changed(job[key]):
            other = copy.copy(job)
            other[key] = inner
            yield name, other


checks = {"jobQueue": ("AWS", aws), "taskGroups": ("Google", google)}
seen = set()
for block in re.findall(r"^```json\n(.*?)^```", open(sys.argv[1]).read(), re.S | re.M):
    job = json.loads(block)
    for key, (name, check) in checks.items():
        if key in job:
            seen.add(name)
            if why := refused(check, job):
                sys.exit(f"{name} Batch refuses: {why}")
            n = 0
            for field, bad in changed(job):
                n += 1
                if not refused(check, bad):
                    sys.exit(f"{name} Batch does not notice a misspelt {field}")
            print(f"{name} Batch: accepted; with each of {n} names misspelt, refused")
if len(seen) != len(checks):
    sys.exit(f"{sys.argv[1]} has array jobs for {sorted(seen)} alone")
