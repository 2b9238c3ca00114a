"""bench/gpu/check.sh: what a machine with a GPU is asked, and PyTorch's figures beside ours. See bench/README.md."""
import argparse
import base64
import glob
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import urllib.request

import torch

import peers
from tool import Failure, Tool, digest, resident_mb, rows, table, tensors, wait_for

a = argparse.ArgumentParser()
a.add_argument("binary")
a.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
a.add_argument("--photos", help="folder with train/CLASS and valid/CLASS (default: ./photos where there is one, else pictures made here)")
a.add_argument("--seconds", type=float, default=285, help="a measurement that would begin later is left out")
a.add_argument("--only", default="", help="names of checks, with commas: " + "features,predictions,steps,resume,interrupt,score,export,serve,speed,training")
a.add_argument("--keep", action="store_true", help="leave the working folder")
a = a.parse_args()

BEGIN, GPU, CORES, STEPS = time.time(), a.device == "cuda", os.cpu_count(), 50 if a.device == "cuda" else 16
WORK = tempfile.mkdtemp(prefix="finetune-check-")
TOOL = Tool(a.binary, a.device, open(os.path.join(WORK, "log"), "w+"))
PEER = peers.Peer(a.device, CORES)
IDEAS, CHECKS, LINES = [], [], []
path = lambda *parts: os.path.join(WORK, *parts)

# How far the device may be from the processor. Features: the largest over photographs of |difference| / |features|.
# float32 has 24 bits, TF32 and float16 have 11, and errors of some fifty layers add up. Steps: the largest relative
# difference of a loss and, in shares of how far they moved, of the parameters after 50 steps; with batch statistics
# rounding grows from step to step: PyTorch's own thread counts end 0.035 apart (docs/lab/2026-11.md).
BOUND = {"float32": 1e-4, "tf32": 1e-2, "float16": 2e-2, "frozen": 5e-3, "batch": 0.1, "p": 5e-3, "p tf32": 2e-2}
AIM_RATE, AIM_STEP = 4000, 1.1  # images/s from JPEG with ResNet34 on an H100 with 16 cores; of PyTorch's step


def check(name):
    def register(f):
        CHECKS.append((name, f))
        return f

    return register


def line(what, ours, theirs="", ratio="", good=True):
    """A row of the table; good None: nothing to pass."""
    verdict = "-" if good is None else "pass" if good else "FAIL"
    LINES.append((CURRENT, what, ours, theirs, ratio, verdict))
    print(f"   {what}: {ours}{' | PyTorch ' + theirs if theirs else ''}{' | ' + ratio if ratio else ''} {verdict}", flush=True)


def in_time(what):
    if time.time() - BEGIN < a.seconds:
        return True
    line(what, "left out: no time", good=None)
    return False


def prepare():
    """Photographs, and bodies from PyTorch's seeded weights."""
    global PHOTOS, MAIN
    PHOTOS = a.photos or ("photos" if os.path.isdir("photos/train") else "")
    if not PHOTOS:
        PHOTOS = path("photos")
        peers.photographs(PHOTOS, 24 if GPU else 12)
    PHOTOS = os.path.abspath(PHOTOS)
    for name in ("resnet18", "resnet34"):
        torch.save(peers.network(name).state_dict(), path(name + ".pth"))
        run_plain("import", name, "--weights", path(name + ".pth"), "-o", path(name + ".onnx"), "--quiet")
    MAIN = "efficientnet-lite0"
    try:
        TOOL.run("precompute", PHOTOS, "--body", MAIN, "--cache", path("cache-head-cpu"), "--quiet", "--no-tf32", device="cpu")
    except Failure:
        MAIN = path("resnet18.onnx")
    print(f"photographs {PHOTOS}, body {MAIN}, working folder {WORK}", flush=True)


def run_plain(*args):
    """A command that takes no --device."""
    import subprocess

    r = subprocess.run([TOOL.binary, *args], stdout=subprocess.PIPE, stderr=TOOL.log, text=True)
    if r.returncode:
        raise Failure(f"exit code {r.returncode}: {args[0]}; {TOOL.last_line()}")
    return r.stdout


def train(name, *more, device=None):
    """A head on the device's features, in WORK/name with a cache of its own."""
    TOOL.run("train", PHOTOS, "--body", MAIN, "--run", path(name), "--cache", path("cache-" + name), "--no-report", "--quiet", "--seed", 1, *more, device=device)


@check("features")
def features():
    train("head-cpu", "--no-tf32", device="cpu")
    want = rows(path("cache-head-cpu"))
    for what, bound, flags in (("float32", "float32", ["--no-tf32"]), ("TF32", "tf32", []), ("float16", "float16", ["--body-precision", "float16"])):
        cache = path("cache-" + what)
        TOOL.run("precompute", PHOTOS, "--body", MAIN, "--cache", cache, "--quiet", *flags)
        got = rows(cache)
        worst = max(float((got[d] - want[d]).norm() / want[d].norm()) for d in want) if set(got) == set(want) else float("inf")
        line(f"{what} against the processor's float32, {len(want)} photographs", f"{worst:.2g}", ratio=f"bound {BOUND[bound]:g}", good=len(want) > 0 and worst <= BOUND[bound])


def log_probabilities(run):
    list_ = table(path(run, "predictions.csv"))
    return {r["path"]: ([float(v) for k, v in r.items() if k.startswith("logp_")], r["predicted"]) for r in list_}


def compare_predictions(what, want, got, bound):
    import math

    apart = max(abs(math.exp(x) - math.exp(y)) for p in want for x, y in zip(want[p][0], got[p][0]))
    flips = sum(want[p][1] != got[p][1] and abs(math.exp(want[p][0][0]) - 0.5) > bound for p in want)
    line(what, f"{apart:.2g}, {flips} labels differ", ratio=f"bound {bound:g}", good=apart <= bound and flips == 0)


@check("predictions")
def predictions():
    train("head", "--no-tf32")
    compare_predictions("probabilities of heads trained on each one's features", log_probabilities("head-cpu"), log_probabilities("head"), BOUND["p"])


def fine_tune(name, *more):
    """Arguments of 50 steps of ResNet18, batch 8, at 64 pixels; on a processor of 16 steps at 32."""
    data = table(path("head-cpu", "predictions.csv"))
    epochs = -(-STEPS // -(-sum(r["split"] == "train" for r in data) // 8))
    return ["train", PHOTOS, "--body", path("resnet18.onnx"), "--size", 64 if GPU else 32, "--unfreeze", "--lrs", "1e-4,3e-4,1e-3",
            "--batch-size", 8, *([] if GPU else ["--threads", 1]), "--epochs", epochs, "--run", path(name), "--cache", path("cache-" + name), "--no-report", "--quiet", "--no-tf32", "--seed", 1, *more]


@check("steps")
def steps():
    for kind, flags in (("frozen", ["--bn-freeze"]), ("batch", [])):
        there = TOOL.start(*fine_tune("steps-" + kind, *flags))
        if not GPU:
            TOOL.wait(there)
        TOOL.run(*fine_tune("cpu-" + kind, *flags, "--threads", max(1, CORES // 2)), device="cpu")  # beside the GPU's
        TOOL.wait(there)
        one, two = table(path("cpu-" + kind, "steps.csv")), table(path("steps-" + kind, "steps.csv"))
        loss = max(abs(float(x["loss"]) - float(y["loss"])) / float(x["loss"]) for x, y in zip(one[:STEPS], two[:STEPS]))
        w, v = (tensors(path(n + kind, "checkpoint.safetensors")) for n in ("cpu-", "steps-"))
        before = torch.load(path("resnet18.pth"))
        moved = lambda x, y: sum(float((x[n] - y[n].flatten()).square().sum()) for n in x if n in before) ** 0.5
        apart = moved(w, v) / max(moved(w, before), 1e-12)
        line(f"{len(one[:STEPS])} steps, {kind} statistics: loss; parameters", f"{loss:.2g}; {apart:.2g}", ratio=f"bound {BOUND[kind]:g}",
             good=len(one) >= STEPS and len(one) == len(two) and max(loss, apart) <= BOUND[kind])


def same_files(one, two):
    return [n for n in ("checkpoint.safetensors", "head.safetensors", "steps.csv", "predictions.csv") if digest(path(one, n)) != digest(path(two, n))]


@check("resume")
def resume():
    TOOL.run(*fine_tune("again"))
    line("the same run twice", "same bytes" if not same_files("steps-batch", "again") else "differ: " + ", ".join(same_files("steps-batch", "again")), good=not same_files("steps-batch", "again"))
    child = TOOL.start(*fine_tune("killed"))
    state = path("killed", "state.safetensors")
    wait_for(lambda: os.path.exists(state), child, 120, "state.safetensors")
    child.kill()
    child.wait()
    TOOL.run("train", "--run", path("killed"), "--cache", path("cache-killed"), "--resume", "--no-report", "--quiet", "--no-tf32")
    bad = same_files("steps-batch", "killed")
    line("SIGKILL, then --resume, beside one never stopped", "differ: " + ", ".join(bad) if bad else "same bytes", good=not bad)


@check("interrupt")
def interrupt():
    """A long run: its memory after a while and later, then Ctrl-C."""
    i = (args := fine_tune("stopped")).index("--epochs") + 1
    args[i] = 100000
    child = TOOL.start(*args)
    wait_for(lambda: os.path.exists(path("stopped", "state.safetensors")), child, 120, "state.safetensors")
    used = lambda: -torch.cuda.mem_get_info()[0] / 2**20 if GPU else 0.0
    peak(child, used)  # Go's heap and ONNX Runtime's arena find their size in the first steps
    (first, there), (last, later) = peak(child, used), peak(child, used)
    grown, taken = last - first, later - there
    child.send_signal(signal.SIGINT)
    begin = time.time()
    TOOL.wait(child, code=130, seconds=30)
    line("Ctrl-C in training: exit 130", f"after {time.time() - begin:.1f} s")
    line("peak memory while three states are written, and the next three", f"{first:.0f} MB {grown:+.0f} MB" + (f", the GPU's {taken:+.0f} MB" if GPU else ""), ratio="bound 10 %", good=grown < first / 10 and taken < 64)


def peak(child, there):
    """The largest memory of child, and of the GPU, until its state was written three times more."""
    name, seen, most, device = path("stopped", "state.safetensors"), set(), 0, -1e9
    begin = time.time()
    while len(seen) < 4 and time.time() - begin < 20:
        most, device = max(most, resident_mb(child.pid)), max(device, there())
        seen.add(os.stat(name).st_mtime_ns)
        time.sleep(0.05)
    return most, device


def probabilities(file):
    return {r["path"]: ([float(v) for k, v in r.items() if k.startswith("p_")], r["predicted"], r["status"]) for r in table(file)}


def compare_scores(what, one, two, bound):
    apart = max(abs(x - y) for p in one for x, y in zip(one[p][0], two[p][0])) if one.keys() == two.keys() and one else float("inf")
    fine = all(v[2] == "ok" for v in list(one.values()) + list(two.values()))
    line(what, f"{apart:.2g}", ratio=f"bound {bound:g}", good=fine and apart <= bound)


@check("score")
def score():
    TOOL.run("score", path("head-cpu"), PHOTOS, "-o", path("cpu.csv"), "--no-cache", "--quiet", device="cpu")
    for what, bound, flags in (("float32", "p", ["--no-tf32"]), ("TF32", "p tf32", [])):
        TOOL.run("score", path("head-cpu"), PHOTOS, "-o", path("device.csv"), "--no-cache", "--quiet", *flags)
        compare_scores(f"{what} against the processor", probabilities(path("cpu.csv")), probabilities(path("device.csv")), BOUND[bound])


@check("export")
def export():
    for precision, bound in (("float32", "p tf32"), ("float16", "p tf32")):
        model = path(precision + ".onnx")
        TOOL.run("export", path("head"), "-o", model, "--precision", precision, "--quiet")
        TOOL.run("score", model, PHOTOS, "-o", path("exported.csv"), "--no-cache", "--quiet")
        compare_scores(f"a {precision} file, written and scored on the device", probabilities(path("cpu.csv")), probabilities(path("exported.csv")), BOUND[bound])


@check("serve")
def serve():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % s.getsockname()[1]
    child = TOOL.start("serve", path("float32.onnx"), "--addr", url[7:], "--quiet")

    def up():
        try:
            return urllib.request.urlopen(url + "/healthz", timeout=1).status == 200
        except OSError:
            return False

    wait_for(up, child, 60, "answer")
    want = probabilities(path("cpu.csv"))
    apart, names = 0.0, sorted(want)[:32]
    images = [base64.b64encode(open(os.path.join(PHOTOS, n), "rb").read()).decode() for n in names]
    begin = time.time()
    request = urllib.request.Request(url + "/predict", json.dumps({"images": images}).encode(), {"Content-Type": "application/json"})
    answers = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
    took = time.time() - begin
    for n, p in zip(names, answers):
        apart = max(apart, *(abs(x - y) for x, y in zip(want[n][0], p["probabilities"].values())))
    child.send_signal(signal.SIGINT)
    child.wait(30)
    line(f"{len(answers)} photographs in one request", f"{apart:.2g} from the processor, {1e3 * took:.0f} ms", ratio=f"bound {BOUND['p tf32']:g}", good=len(answers) == len(names) and apart <= BOUND["p tf32"])


def many(n):
    """n photographs with bytes of their own: what follows a picture's end is not looked at."""
    source = sorted(glob.glob(os.path.join(PHOTOS, "*", "*", "*")))
    for i in range(n):
        name = path("many", "train" if i % 16 else "valid", "ab"[i // 16 % 2], f"{i:05d}")
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(source[i % len(source)], "rb") as f, open(name, "wb") as g:
            g.write(f.read() + b"%08d" % i)
    return path("many"), sorted(glob.glob(path("many", "*", "*", "*")))


@check("speed")
def speed():
    for body, name in ((path("resnet34.onnx"), "resnet34"), (MAIN, "efficientnet-lite0")):
        if body == path("resnet18.onnx"):
            line("EfficientNet-Lite0", "no body: finetune fetch efficientnet-lite0", good=None)
            continue
        for what, flags, tf32, half in (("TF32", [], True, False), ("float32", ["--no-tf32"], False, False), ("float16", ["--body-precision", "float16"], True, True)):
            if not in_time(f"{name}, {what}") or not GPU and what == "TF32":
                continue
            n = 6144 if GPU else 64 if half or name == "resnet34" else 160
            folder, files = many(n)
            r = TOOL.json("precompute", folder, "--body", body, "--cache", path("cache-speed"), *flags)
            shutil.rmtree(path("cache-speed"))
            ours, bound = r["steady_images_per_second"], CORES * r["computed"] / r["decode_seconds"]
            theirs = PEER.pipeline(name, files[: n if GPU else 48], 64 if GPU else 16, CORES if GPU else 2, tf32, half) if not (half and not GPU) else None
            line(f"{name}, {what}: images/s from JPEG, {len(files)} of them, {CORES} cores", f"{ours:.0f} ({ours / bound:.2f} of what decoding alone would give)",
                 f"{theirs:.0f}" if theirs else "", f"{ours / theirs:.2f}" if theirs else "",
                 good=None if not GPU else ours >= AIM_RATE if (name, what) == ("resnet34", "TF32") else None)
            for batch in (16, 64, 128, 256) if GPU else (4, 16):
                if half and not GPU or not in_time(f"{name}, {what}: body alone, batch {batch}"):
                    continue
                mine = (r.get("body_rates") or {}).get(str(batch))
                theirs = PEER.forward(name, batch, tf32, half, 0.3)
                chosen = ", chosen" if r.get("body_batch") == batch else ""
                line(f"{name}, {what}: body alone, images/s in batches of {batch}{chosen}", f"{mine:.0f}" if mine else "not measured", f"{theirs:.0f}", f"{mine / theirs:.2f}" if mine else "", good=None)


@check("training")
def training():
    body, batch, size, n = ("resnet34", 64, 224, 2560) if GPU else ("resnet18", 8, 96, 64)
    shutil.rmtree(path("many"), ignore_errors=True)
    folder, _ = many(n)
    for what, flags, tf32 in (("TF32", [], True), ("float32", ["--no-tf32"], False)):
        if not GPU and what == "TF32" or not in_time(f"{body}, {what}: a training step"):
            continue
        run = path("steps-" + what)
        TOOL.run("train", folder, "--body", path(body + ".onnx"), "--size", size, "--unfreeze", "--batch-size", batch, "--epochs", 3, "--run", run,
                 "--cache", path("cache-" + what), "--no-report", "--quiet", "--seed", 1, *flags)
        epochs, per = table(os.path.join(run, "history.csv")), len(table(os.path.join(run, "steps.csv"))) / 3
        ours = min(float(e["seconds"]) for e in epochs[1:]) / per  # with the photographs' decoding and n/16 validated
        theirs = PEER.step(body, batch, tf32, 1.5, size)
        line(f"{body}, {what}: a training step of {batch} at {size} px, validation's share within", f"{1e3 * ours:.0f} ms", f"{1e3 * theirs:.0f} ms", f"{ours / theirs:.2f}",
             good=ours / theirs <= AIM_STEP if GPU and tf32 else None)


def report(*_):
    TOOL.end()
    print("\nidea: check | ours | PyTorch | ours/PyTorch or bound | verdict")
    for row in LINES:
        print(f"{row[0]}: " + " | ".join(row[1:]))
    failed = sum(r[-1] == "FAIL" for r in LINES)
    seen = {r[0] for r in LINES}
    missing = [n for n, _ in CHECKS if n not in seen and (not a.only or n in a.only.split(","))]
    print(f"{failed} failed; not reached: {', '.join(missing) or 'none'}; {time.time() - BEGIN:.0f} s; device {a.device}", flush=True)
    if not a.keep:
        shutil.rmtree(WORK, ignore_errors=True)
    os._exit(min(failed + len(missing), 100))


signal.signal(signal.SIGTERM, report)  # what a time limit sends: the table so far
CURRENT = "prepare"
try:
    prepare()
    for CURRENT, f in CHECKS:
        if a.only and CURRENT not in a.only.split(","):
            continue
        print(f"== {CURRENT} ({time.time() - BEGIN:.0f} s)", flush=True)
        try:
            f()
        except Exception as e:
            if not isinstance(e, Failure):
                traceback.print_exc()
            line("it ran", f"{type(e).__name__}: {e}", good=False)
except Exception as e:
    traceback.print_exc()
    line("it ran", f"{type(e).__name__}: {e}", good=False)
report()
