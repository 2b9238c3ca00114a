#!/usr/bin/env bash
# What a C compiler without Apple's kit lacks to make a program for macOS:
#
#	tools/macos.sh FOLDER
#
# writes it into FOLDER: include/ (compile with -I), and lists of what Go's standard
# library asks of three libraries of the system, read from that library's sources, in
# frameworks/ (link with -F) and lib/ (-L). The libraries themselves are macOS's own.
set -euo pipefail
to=$1
mkdir -p "$to/include/mach" "$to/lib"
cat >"$to/include/mach/mach_vm.h" <<'END'
#include <mach/mach_types.h>
kern_return_t mach_vm_region(vm_map_read_t, mach_vm_address_t *, mach_vm_size_t *, vm_region_flavor_t, vm_region_info_t,
	mach_msg_type_number_t *, mach_port_t *);
END

# list FILE LIBRARY: LIBRARY exports each symbol that Go's sources import from it.
list() {
	local symbols
	symbols=$(grep -rhs --include='*.go' '^//go:cgo_import_dynamic .* "'"$2"'"' "$(go env GOROOT)/src" | awk '{ print "_" $3 }' | sort -u | paste -sd,)
	[ -n "$symbols" ] || { echo "tools/macos.sh: $2: Go's sources import nothing from it" >&2; exit 1; }
	mkdir -p "$(dirname "$1")"
	cat >"$1" <<-END
		--- !tapi-tbd
		tbd-version: 4
		targets: [ arm64-macos ]
		install-name: '$2'
		exports:
		  - targets: [ arm64-macos ]
		    symbols: [ $symbols ]
		...
	END
}
for name in CoreFoundation Security; do
	list "$to/frameworks/$name.framework/$name.tbd" /System/Library/Frameworks/$name.framework/Versions/A/$name
done
list "$to/lib/libresolv.tbd" /usr/lib/libresolv.9.dylib
