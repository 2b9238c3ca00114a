"""Writes activations_pyarrow.arrow, and checks a cache that finetune wrote.

    python activations_check.py write             writes activations_pyarrow.arrow beside this file
    python activations_check.py check DIR/HASH    reads every shard with pyarrow and pandas

The Go test TestReadsPyarrow reads the former. The latter is run by hand after a
change to the file format (pyarrow 26, pandas where it is installed).
"""
import glob
import json
import os
import re
import sys

import pyarrow as pa

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = ["path", "label", "digest", "features"]


def write():
    schema = pa.schema([(c, pa.string()) for c in COLUMNS[:3]] + [("features", pa.list_(pa.float32(), 5))])
    with pa.OSFile(os.path.join(HERE, "activations_pyarrow.arrow"), "wb") as f, pa.ipc.new_file(f, schema) as w:
        for rows in (range(4), range(4, 7)):
            w.write_batch(pa.record_batch([
                pa.array([f"a/{i}.jpg" for i in rows]), pa.array(["a" for _ in rows]),
                pa.array([f"{i:02x}" * 32 for i in rows]),
                pa.array([[i + k / 4 for k in range(5)] for i in rows], pa.list_(pa.float32(), 5)),
            ], schema=schema))


def check(folder):
    key = json.load(open(os.path.join(folder, "key.json")))
    total = 0
    for name in sorted(glob.glob(os.path.join(folder, "shard-*.arrow"))):
        with pa.memory_map(name) as f:
            before = pa.total_allocated_bytes()
            table = pa.ipc.open_file(f).read_all()
            assert pa.total_allocated_bytes() - before < 1 << 16, "not read in place"
            table.validate(full=True)
            assert table.column_names == COLUMNS, table.column_names
            assert json.loads(table.schema.metadata[b"finetune.key"]) == key
            features = table["features"].type
            assert pa.types.is_fixed_size_list(features) and features.list_size == key["features"], features
            assert features.value_type == pa.float32(), features
            assert all(re.fullmatch("[0-9a-f]{64}", d) for d in table["digest"].to_pylist())
            assert all(c.null_count == 0 for c in table.columns)
            total += table.num_rows
        try:
            import pandas
        except ImportError:
            continue
        frame = pandas.read_feather(name)
        assert list(frame.columns) == COLUMNS and frame["features"].iloc[0].shape == (key["features"],)
    print(f"{folder}: {total} rows of {key['features']} features, key {key['key']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write()
    elif sys.argv[1:2] == ["check"] and len(sys.argv) == 3:
        check(sys.argv[2])
    else:
        sys.exit(__doc__)
