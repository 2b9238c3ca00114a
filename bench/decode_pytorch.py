"""Decodes, scales, crops and normalises every photograph of a folder with Pillow, on several threads; a turn is all of them.

    yes '' | head -5 | python bench/decode_pytorch.py PHOTOS
"""
import argparse
from concurrent.futures import ThreadPoolExecutor

import PIL

import networks
from turns import take_turns

a = argparse.ArgumentParser()
a.add_argument("photos")
a.add_argument("--threads", type=int, default=2)
a = a.parse_args()
files, pool = networks.photographs(a.photos), ThreadPoolExecutor(a.threads)
take_turns(lambda: sum(1 for _ in pool.map(networks.load, files)), engine=f"Pillow {PIL.__version__}")
