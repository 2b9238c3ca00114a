"""Megabytes that distributions and all they need take in this environment, without Python itself.

    python bench/size_python.py torch torchvision pillow
"""
import importlib.metadata as metadata
import json
import re
import sys

todo, done, total = list(sys.argv[1:]), set(), 0
while todo:
    name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
    if name in done:
        continue
    try:
        d = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue  # for another platform
    done.add(name)
    total += sum(f.locate().stat().st_size for f in d.files or [] if f.locate().is_file())
    todo += [re.match(r"[A-Za-z0-9._-]+", r).group() for r in d.requires or [] if "extra ==" not in r]
print(json.dumps({"megabytes": total / 1e6, "packages": sorted(done)}))
