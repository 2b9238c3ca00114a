#!/bin/sh
# Kills real processes at random moments, N times each (100 unless given), and
# compares the bytes they end in with those of undisturbed ones: precompute, two
# processes on one cache, train, train --unfreeze, score. An hour on two cores.
#
#	bench/kill.sh 100
set -eu
cd "$(dirname "$0")/.."
FINETUNE_KILLS="${1:-100}" exec go test ./cli -run 'Killed|Interrupted' -count 1 -timeout 24h -v
