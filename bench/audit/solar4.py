"""The solar cells as four classes: state and type of the module, as the data set's own labels.csv has them.

    python bench/audit/solar4.py WHEEL SOLAR-CELLS OUT

WHEEL is elpv_dataset's file among finetune's downloads, SOLAR-CELLS the folder of its pictures that `finetune demo` made,
OUT a folder that is made of links to its pictures.
"""
import io, os, sys, zipfile


def main():
    wheel, data, out = sys.argv[1:]
    with zipfile.ZipFile(wheel) as z:
        text = z.read("elpv_dataset/data/labels.csv").decode()
    kind = {os.path.basename(line.split()[0]): line.split()[2] for line in io.StringIO(text) if line.strip()}
    for split in ("train", "valid"):
        for state in sorted(os.listdir(os.path.join(data, split))):
            for name in sorted(os.listdir(os.path.join(data, split, state))):
                to = os.path.join(out, split, f"{state}-{kind[name]}", name)
                os.makedirs(os.path.dirname(to), exist_ok=True)
                os.link(os.path.join(data, split, state, name), to)


main()
