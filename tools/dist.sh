#!/usr/bin/env bash
# Makes the archives of a release, for people without Go, make or pip:
#
#	tools/dist.sh VERSION LDFLAGS PLATFORM...    linux-x64 linux-arm64 windows-x64 macos-arm64
#
# Each holds the program, ONNX Runtime in lib/, the default body in bodies/, the
# licences, a bill of materials and SHA256SUMS. Zig is the C compiler, which aims at
# glibc 2.28, so that the program starts on older distributions than this machine's.
# That no file asks for a newer one is checked. macos-arm64 links without Apple's kit
# (tools/macos.sh); nobody has run it.
# The same commit gives the same bytes. make dist runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 ldflags=$2
shift 2
body=efficientnet-lite0
glibc=2.28
found=$(tools/toolchain.sh zig)
zig=${found#- }/zig
export ZIG_GLOBAL_CACHE_DIR=$PWD/bin/zig ZIG_LOCAL_CACHE_DIR=$PWD/bin/zig CGO_ENABLED=1
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)

mkdir -p bin/dist dist
go build -o bin/dist/ ./internal/fetch/notices ./internal/fetch/sbom ./internal/fetch/setup
weights=$(bin/dist/setup -paths $body)
bin/finetune import $body --weights "$weights" -o "bin/dist/$body.onnx" >/dev/null

# no_newer_glibc FILE...: none asks for a symbol of a later version than the floor.
no_newer_glibc() {
	local file newest
	for file; do
		newest=$(LC_ALL=C grep -aoE 'GLIBC_[0-9]+\.[0-9]+' "$file" | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
		[ -n "$newest" ] || { echo "tools/dist.sh: $file: no symbol of glibc found; it cannot be checked" >&2; exit 1; }
		[ "$(printf '%s\n' "$newest" $glibc | sort -V | tail -n 1)" = $glibc ] ||
			{ echo "tools/dist.sh: $file: asks for glibc $newest, not $glibc or older" >&2; exit 1; }
		echo "asks for glibc $newest: ${file#dist/}"
	done
}

# one PLATFORM
one() {
	local platform=$1 name=finetune-${version#v}-$1 program=finetune target flags=
	case $platform in
	linux-x64) GOOS=linux GOARCH=amd64 target=x86_64-linux-gnu.$glibc ;;
	linux-arm64) GOOS=linux GOARCH=arm64 target=aarch64-linux-gnu.$glibc ;;
	windows-x64) GOOS=windows GOARCH=amd64 target=x86_64-windows-gnu program=finetune.exe ;;
	macos-arm64)
		GOOS=darwin GOARCH=arm64 target=aarch64-macos.11.0
		local kit=$PWD/bin/dist/macos
		tools/macos.sh "$kit"
		flags="-I'$kit/include' -L'$kit/lib' -F'$kit/frameworks'"
		;;
	*) echo "tools/dist.sh: $platform: none of linux-x64, linux-arm64, windows-x64, macos-arm64" >&2; exit 2 ;;
	esac
	export GOOS GOARCH
	local dir=dist/$name
	rm -rf "$dir" "$dir".tar.gz "$dir".zip
	mkdir -p "$dir/lib" "$dir/bodies"
	printf '#!/bin/sh\nexec "%s" cc -target %s %s "$@"\n' "$zig" $target "$flags" >bin/dist/cc-$platform
	chmod +x bin/dist/cc-$platform
	CC="$PWD/bin/dist/cc-$platform" go build -trimpath -buildvcs=false -tags nodynamic -ldflags "$ldflags" -o "$dir/$program" .
	rm -f -- -.o # Zig leaves it where Go asks what the linker for macOS can do
	bin/dist/notices -tags nodynamic -o "$dir/THIRD_PARTY_NOTICES.txt" >/dev/null
	local library items=runtime-$platform
	case $platform in linux-*) items+=" jpeg-$platform" ;; esac
	for library in $(bin/dist/setup -paths $items); do cp -r "$(dirname "$library")" "$dir/lib/"; done
	rm -f "$dir"/lib/*/.checked
	cp bin/dist/$body.onnx bin/dist/$body.json "$dir/bodies/"
	cp LICENSE "$dir/bodies/$body.LICENSE" # its weights are under the Apache License 2.0 too
	cp LICENSE README.md CHANGELOG.md "$dir/"
	bin/dist/sbom -tags nodynamic -o "$dir/sbom.json" "$dir/$program" "$dir"/lib/*/* "$dir"/bodies/* >/dev/null
	case $platform in linux-*) no_newer_glibc "$dir/$program" "$dir"/lib/*/*.so* ;; esac
	chmod -R u=rwX,go=rX "$dir"
	(cd "$dir" && find . -type f ! -path ./SHA256SUMS | LC_ALL=C sort | sed 's,^\./,,' | xargs sha256sum >SHA256SUMS)
	find "$dir" -exec touch -h -d "@$epoch" {} +
	if [ $platform = windows-x64 ]; then
		(cd dist && python3 -c '
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1] + ".zip", "w", zipfile.ZIP_DEFLATED) as z:
    for folder, folders, files in os.walk(sys.argv[1]):
        folders.sort()
        for f in sorted(files):
            i = zipfile.ZipInfo(folder.replace(os.sep, "/") + "/" + f)
            i.external_attr, i.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            with open(os.path.join(folder, f), "rb") as data:
                z.writestr(i, data.read())
' "$name")
	else
		tar -C dist --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$dir.tar.gz"
	fi
	rm -rf "$dir"
	(cd dist && sha256sum "$name".*)
	[ $platform != macos-arm64 ] || echo "$name: linked without Apple's kit, signed ad hoc; nobody has run it"
}

for p; do (one "$p"); done
(cd dist && rm -f SHA256SUMS && sha256sum finetune-*.tar.gz finetune-*.zip >SHA256SUMS 2>/dev/null) || true
