"""Compares what TensorBoard reads of runs with their tables: check.py RUN…"""
import csv
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


def single(text):
    """A number of a table as float32, which is what event files hold."""
    return struct.unpack("f", struct.pack("f", float(text)))[0]


def table(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


failed = False
for run in map(pathlib.Path, sys.argv[1:]):
    folder = run / "tensorboard"
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    log.Reload()
    steps, epochs = table(run / "steps.csv"), table(run / "history.csv")
    batches = len(steps) // len(epochs)
    want = {}
    for name in steps[0]:
        if name not in ("step", "epoch"):
            want["step/" + name] = [(int(s["step"]), single(s[name])) for s in steps]
    for name in ("trn_loss", "val_loss", "accuracy"):
        want["epoch/" + name] = [((int(e["epoch"]) + 1) * batches - 1, single(e[name])) for e in epochs]
    got = {tag: [(s.step, s.value) for s in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
    times = [s.wall_time for s in log.Scalars("step/loss")]
    events = sum(1 for file in folder.iterdir() for _ in EventFileLoader(str(file)).Load())
    wrong = sorted(tag for tag in want.keys() | got.keys() if want.get(tag) != got.get(tag))
    if wrong or times != sorted(times) or events != 1 + len(steps) + len(epochs):
        failed = True
        print(f"{run.name}: {wrong} differ; {events} events of {len(steps)} steps and {len(epochs)} epochs")
        for tag in wrong:
            print(f"  {tag}: table {want.get(tag)}, TensorBoard {got.get(tag)}")
    else:
        print(f"{run.name}: {len(steps)} steps, {len(epochs)} epochs, {len(got)} curves are those of the tables")
sys.exit(failed)
