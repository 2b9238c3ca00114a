"""Runs finetune and reads what it leaves, with Python's standard library and torch alone."""
import csv
import glob
import hashlib
import json
import os
import struct
import subprocess
import time

import torch


class Failure(Exception):
    pass


class Tool:
    """The binary on one device. Everything it writes lies in the working folder."""

    def __init__(self, binary, device, log):
        self.binary, self.device, self.log, self.children = os.path.abspath(binary), device, log, []

    def command(self, args, device=None):
        return [self.binary, *map(str, args), "--device", device or self.device]

    def start(self, *args, device=None, **more):
        """A running finetune; its messages go to the log."""
        command = self.command(args, device)
        self.log.write("$ " + " ".join(command) + "\n")
        self.log.flush()
        child = subprocess.Popen(command, stderr=self.log, stdout=more.pop("stdout", self.log), text=True, **more)
        self.children.append(child)
        return child

    def wait(self, child, code=0, seconds=240):
        """Its standard output, if it ends in time and with the code."""
        try:
            out, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Failure(f"no end after {seconds} s: {' '.join(child.args[1:4])} …")
        if child.returncode != code:
            raise Failure(f"exit code {child.returncode}, not {code}: {' '.join(child.args[1:4])} …; {self.last_line()}")
        return out

    def run(self, *args, device=None, seconds=240):
        return self.wait(self.start(*args, device=device, stdout=subprocess.PIPE), seconds=seconds)

    def json(self, *args, **more):
        return json.loads(self.run(*args, "--json", "--quiet", **more))

    def last_line(self):
        self.log.flush()
        with open(self.log.name) as f:
            return (f.read().strip().splitlines() or [""])[-1][:200]

    def end(self):
        for c in self.children:
            if c.poll() is None:
                c.kill()
                c.wait()


def table(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def tensors(path):
    """name -> float32 tensor of a .safetensors file."""
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    head, body = json.loads(data[8 : 8 + n]), bytearray(data[8 + n :])
    out = {}
    for name, t in head.items():
        if name != "__metadata__" and t["dtype"] == "F32":
            lo, hi = t["data_offsets"]
            out[name] = torch.frombuffer(body, dtype=torch.float32, count=(hi - lo) // 4, offset=lo) if hi > lo else torch.zeros(0)
    return out


def rows(cache):
    """digest of a photograph -> its features, from the Arrow shards of a cache with one key."""
    out = {}
    for path in glob.glob(os.path.join(cache, "*", "shard-*.arrow")):
        with open(path, "rb") as f:
            data = f.read()
        for digests, features in batches(data):
            width = len(features) // len(digests)
            out.update({d: features[i * width : (i + 1) * width] for i, d in enumerate(digests)})
    return out


def batches(data):
    """The columns digest and features of each record batch of an Arrow IPC file, by its flatbuffers."""
    num = lambda form, at: struct.unpack_from(form, data, at)[0]

    def field(table, i):  # where field i of a flatbuffer table begins
        vtable = table - num("<i", table)
        return table + num("<H", vtable + 4 + 2 * i)

    follow = lambda at: at + num("<I", at)
    end = len(data) - 10
    start = end - num("<I", end)
    footer = start + num("<I", start)
    blocks = follow(field(footer, 3))
    for b in range(num("<I", blocks)):
        block = blocks + 4 + 24 * b
        at, meta = num("<q", block), num("<i", block + 8)
        message = at + 8 + num("<I", at + 8)
        record = follow(field(message, 2))
        n, buffers, body = num("<q", field(record, 0)), follow(field(record, 2)) + 4, at + meta
        buffer = lambda i: (body + num("<q", buffers + 16 * i), num("<q", buffers + 16 * i + 8))
        offsets, text = buffer(7)[0], buffer(8)[0]  # of the third column, after validity
        digests = [data[text + num("<i", offsets + 4 * i) : text + num("<i", offsets + 4 * i + 4)].decode() for i in range(n)]
        where, size = buffer(11)
        yield digests, torch.frombuffer(bytearray(data[where : where + size]), dtype=torch.float32)


def resident_mb(pid):
    """Memory of a process in MB."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def wait_for(condition, child, seconds, what):
    """Waits until condition() is true while child lives."""
    begin = time.time()
    while not condition():
        if child.poll() is not None:
            raise Failure(f"ended with {child.returncode} before {what}")
        if time.time() - begin > seconds:
            raise Failure(f"no {what} after {seconds} s")
        time.sleep(0.02)
