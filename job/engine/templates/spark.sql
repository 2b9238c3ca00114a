-- {{.Workers}} partitions hand the numbers of all tasks to workers; a task whose part is there is left alone. Spark replaces what dies,
-- and tries a partition again (spark.task.maxFailures). Each task is a line of JSON in the answer.
-- finetune, ONNX Runtime and the model are on every node under the same names, or come with --files.
SELECT TRANSFORM(id) USING {{.Command | sql}} AS (line STRING)
FROM range(0, {{.Tasks}}, 1, {{.Workers}});
