"""What `finetune precompute` does: decode, scale, crop, normalise, frozen body, [max || mean] pooling. A turn is every photograph.

    yes '' | head -3 | python bench/precompute_pytorch.py PHOTOS --engine eager|compile|onnxruntime --body resnet34

Decoding runs on as many threads as the body, a batch ahead of it.
"""
import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import networks
from turns import take_turns

a = argparse.ArgumentParser()
a.add_argument("photos")
networks.arguments(a)
a.add_argument("--batch", type=int, default=32)
a = a.parse_args()
run, engine = networks.features(a)
files, pool = networks.photographs(a.photos), ThreadPoolExecutor(a.threads)


def precompute():
    batches = [files[i : i + a.batch] for i in range(0, len(files), a.batch)]
    ahead = [pool.submit(networks.load, f) for f in batches[0]]
    for following in batches[1:] + [[]]:
        now, ahead = ahead, [pool.submit(networks.load, f) for f in following]
        run(np.stack([j.result() for j in now]))


take_turns(precompute, engine=engine)
