"""Scores a folder as people do in Python: photographs decoded by Pillow on threads, the network in batches of 32. A turn is the folder.

    yes '' | head -3 | python bench/score_pytorch.py FOLDER --engine eager|compile --body resnet34
    yes '' | head -3 | python bench/score_pytorch.py FOLDER --engine onnxruntime --model MODEL.onnx    what `finetune export` wrote
    python bench/score_pytorch.py PHOTO --once                                                         one photograph from a cold start
"""
import argparse
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import networks
from turns import take_turns

a = argparse.ArgumentParser()
a.add_argument("folder")
networks.arguments(a)
a.add_argument("--once", action="store_true")
a = a.parse_args()
run, engine = networks.classifier(a)
files = [a.folder] if os.path.isfile(a.folder) else networks.photographs(a.folder)
pool = ThreadPoolExecutor(a.threads)


def one(path):
    return networks.load(path, normalise=a.engine != "onnxruntime")  # an exported file normalises itself


def score():
    batches = [files[i : i + 32] for i in range(0, len(files), 32)]
    ahead = [pool.submit(one, f) for f in batches[0]]
    for following in batches[1:] + [[]]:
        now, ahead = ahead, [pool.submit(one, f) for f in following]
        run(np.stack([j.result() for j in now]))


if a.once:
    score()
else:
    take_turns(score, engine=engine)
