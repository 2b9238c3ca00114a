#!/bin/bash
# What train --tensorboard writes is read by TensorBoard's own reader: a head, a fine-tuned network of
# several layer groups, and a run that is killed again and again have the numbers of their tables, each once.
# check.sh FINETUNE [DATA]; without DATA photographs are made.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
finetune=$(realpath "$1")
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --only-binary=:all: -r requirements.txt
data=${2:-$dir/data}
[ $# -gt 1 ] || "$dir/venv/bin/python3" - "$data" <<'END'
import pathlib, random, sys
from PIL import Image
for i in range(160):
    folder = pathlib.Path(sys.argv[1], ("train", "valid")[i % 4 == 0], ("dark", "light")[i // 4 % 2])
    folder.mkdir(parents=True, exist_ok=True)
    level = random.Random(i).randrange(128) + 127 * (i // 4 % 2)
    Image.new("RGB", (64 + i % 5, 64), (level, i, 255 - i)).save(folder / f"{i}.png")
END
train=("$finetune" train "$data" --tensorboard --no-report --quiet --cache "$dir/cache")
small=(--body seed:resnet18:7 --size 64)

"${train[@]}" "${small[@]}" --run "$dir/head" --cycles 2
"${train[@]}" "${small[@]}" --run "$dir/tuned" --unfreeze --lrs 1e-4,1e-3,1e-2 --epochs 1
kills=0
for wait in 0.6 0.9 1.2 1.5 2 3 4 6; do
	"${train[@]}" "${small[@]}" --run "$dir/killed" --resume --unfreeze --epochs 3 --lr 1e-3 & pid=$!
	sleep "$wait"
	! kill -9 $pid 2>/dev/null || kills=$((kills + 1))
	wait $pid 2>/dev/null || true
done
"${train[@]}" --run "$dir/killed" --resume
echo "killed $kills times"
"$dir/venv/bin/python3" check.py "$dir/head" "$dir/tuned" "$dir/killed"
