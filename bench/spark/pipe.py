"""Has Spark hand the numbers of a job's tasks to workers through Python's RDD.pipe, for
clusters that refuse TRANSFORM in SQL.

    spark-submit pipe.py TASKS PARTITIONS finetune work --stream --quiet JOB
"""

import json
import os
import shlex
import sys

from pyspark.sql import SparkSession

tasks, partitions, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
context = SparkSession.builder.appName("finetune").getOrCreate().sparkContext
numbers = context.parallelize(range(tasks), partitions).map(str)
# Without an environment the command would have an empty one; the workers get the driver's.
lines = numbers.pipe(shlex.join(command), env=dict(os.environ), checkCode=True).collect()
done = {d["task"] for d in map(json.loads, lines) if d["state"] != "ready"}
if done != set(range(tasks)):
    sys.exit(f"{len(done)} of {tasks} tasks were done")
