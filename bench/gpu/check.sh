#!/usr/bin/env bash
# Checks a finetune binary on a machine with a GPU, and PyTorch beside it:
#
#	bench/gpu/check.sh BINARY [--device cuda|cpu] [--photos DIR] [--seconds N] [--only a,b]
#
# Needs the binary, ONNX Runtime where the binary finds it, and python3 with torch; no Go and no network.
# It goes on after a failure, prints a table at the end and exits with the number of failures.
# --device cpu does all of it in small on a processor, which shows that the check itself works.
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] && [ -x "$1" ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; echo "no executable: ${1:-}"; exit 2; } >&2
python3 -c 'import torch' 2>/dev/null || { echo "check.sh: python3 has no torch; put one that has it first in PATH" >&2; exit 2; }
exec python3 "$here/check.py" "$@"
