#!/bin/bash
# Kills jobs at random moments for some minutes and compares what they end in with the bytes
# of an undisturbed process: bench/jobs/kills.sh MINUTES [local|slurm|spark|train]...
#   local  the engine and its workers         train  `finetune train JOB`, again and again
#   spark  programs, Python workers, executors, nodes and drivers (`make spark` brings it)
#   slurm  a program and a node of a cluster  (a Slurm that is installed: sbatch, slurmctld, munged)
# The moments are other ones each time. A test that is skipped here is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
minutes=${1:?minutes, such as 10}
shift
[ $# -gt 0 ] || set -- local slurm train
declare -A tests=([local]=TestKilledJobEndsInTheSameTable [slurm]=TestSlurmEndsInTheSameTable
	[spark]=TestSparkEndsInTheSameTable [train]=TestKilledTrainingOnAJobResumesToTheSameBytes)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -c -o /dev/null ./cli
for engine in "$@"; do
	name=${tests[$engine]:?no engine of that name}
	end=$((SECONDS + 60 * minutes)) rounds=0
	while [ "$SECONDS" -lt "$end" ]; do
		FINETUNE_KILLS=${FINETUNE_KILLS:-3} go test ./cli -count=1 -timeout 60m -v -run "^$name\$" >"$log" 2>&1 || {
			cat "$log"
			echo "$engine: round $((rounds + 1)) failed"
			exit 1
		}
		grep -q "^--- PASS: $name" "$log" || {
			cat "$log"
			echo "$engine: $name was not run"
			exit 1
		}
		rounds=$((rounds + 1))
	done
	echo "$engine: $rounds rounds of ${FINETUNE_KILLS:-3} in $minutes minutes, all with the bytes of an undisturbed process"
done
