#!/usr/bin/env bash
# Unpacks a Linux archive of this machine's processor in a root that holds nothing
# but it, glibc and GCC's run-time libraries, without a network, trains on a folder of photographs and scores another:
#
#	tools/dist_test.sh dist/finetune-VERSION-linux-x64.tar.gz PHOTOGRAPHS
#
# PHOTOGRAPHS has train/CLASS and valid/CLASS. Needs root, for chroot.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "skipped: chroot needs root"; exit 0; }
archive=$1 photographs=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{lib64,tmp,root}
tar -C "$root" --strip-components=1 -xf "$archive"
(cd "$root" && sha256sum --quiet -c SHA256SUMS)
# What the program and the library ask for, which must be glibc's and, for ONNX Runtime, GCC's run-time libraries.
for lib in $(ldd "$root/finetune" "$root"/lib/*/libonnxruntime.so.* | grep -o '/[^ ]*\.so[^ :]*' | grep -v "^$root" | sort -u); do
	echo "needs $lib"
	case $lib in
	*/ld-linux* | */libc.so* | */libm.so* | */libpthread.so* | */libdl.so* | */librt.so* | */libresolv.so*) ;;
	*/libstdc++.so* | */libgcc_s.so*) ;;
	*) echo "FAIL: $lib is neither glibc's nor GCC's"; exit 1 ;;
	esac
	cp -L --parents "$lib" "$root"
done
if [ -n "${2:-}" ]; then cp -r "$2" "$root/photographs"; else bin/finetune demo --help >/dev/null; echo "name a folder of photographs"; exit 2; fi
run() { echo "\$ $*"; unshare --net --mount --pid --fork env -i HOME=/root "$(command -v chroot)" "$root" "$@"; }
run /finetune --version
run /finetune doctor || true # which names what is absent
run /finetune train /photographs --run /tmp/run --epochs 2 --lr 0.01
run /finetune score /tmp/run /photographs -o /tmp/scores.csv
rows=$(grep -c ',ok,' "$root/tmp/scores.csv")
[ "$rows" -gt 0 ] || { echo "FAIL: nothing was scored"; exit 1; }
echo "tools/dist_test.sh: $(basename "$archive"): $rows photographs scored"
