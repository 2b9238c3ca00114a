"""The frozen body on a batch of 32 images that are there already; a turn is one batch.

    yes '' | head -5 | python bench/body_pytorch.py --engine eager|compile|onnxruntime --body efficientnet-lite0
"""
import argparse

import numpy as np

import networks
from turns import take_turns

a = argparse.ArgumentParser()
networks.arguments(a)
a = a.parse_args()
run, engine = networks.features(a)
x = np.random.default_rng(0).standard_normal((32, 3, 224, 224), np.float32)
take_turns(lambda: run(x), engine=engine)
