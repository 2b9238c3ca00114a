#!/bin/bash
# Brings what `make spark` runs into a folder: Spark with its Python (500 MB, pinned in
# requirements.txt), and a small S3 store: prepare.sh DIR. Java 17 or newer has to be there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
command -v java >/dev/null || { echo "no java here; Debian's package openjdk-17-jre-headless brings it" >&2; exit 1; }
pins=$(cat "$here/requirements.txt" "$0" | cksum)
[ "$(cat "$dir/pins" 2>/dev/null)" != "$pins" ] || exit 0
rm -rf "$dir/venv"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --require-hashes -r "$here/requirements.txt"
GOBIN=$dir go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 # compared with Go's checksum database
echo "$pins" >"$dir/pins"
