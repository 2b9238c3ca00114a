#!/bin/bash
# What finetune gives to clusters that cannot be had here is read strictly, and not run:
# manifests of Kubernetes by the code of its API server, the array jobs that
# docs/how-to/kubernetes.md has for AWS and Google Batch by the descriptions in their clients.
# Good ones are accepted; with a letter too many, or numbers that do not go together, refused.
# Both are pinned; what cannot be fetched here is skipped, and why is said.
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if ! go mod download >"$dir/fetched" 2>&1; then
	echo "skipped: manifests: Kubernetes' modules (bench/kubernetes/go.mod) cannot be fetched: $(tail -n 1 "$dir/fetched")"
	exit
fi
go build -o "$dir/server" .
go -C ../.. run ./bench/jobs -step plan -rows 20000 -task-rows 2 -dir "$dir/job"
go build -C ../.. -o "$dir/finetune" .
(
	cd "$dir"
	for n in 1 7 200 10000; do
		./finetune run job --engine kubernetes --image registry/finetune:1 --workers $n --dry-run --quiet >good$n.yaml
	done
	sed 's/maxFailedIndexes: 7/maxFailedIndexes: 8/' good7.yaml >bad1.yaml
	sed 's/completionMode/completionsMode/' good7.yaml >bad2.yaml
	sed 's/: Never/: OnFailure/' good7.yaml >bad3.yaml
	./server good*.yaml
	for f in bad*.yaml; do
		cmp -s $f good7.yaml && { echo "$f is not changed"; exit 1; }
		! ./server $f || exit 1
	done
)
python3 -m venv "$dir/venv"
if ! "$dir/venv/bin/pip" install --quiet botocore==1.44.8 google-cloud-batch==0.22.4 >"$dir/fetched" 2>&1; then
	echo "skipped: array jobs of AWS and Google: their clients cannot be fetched: $(tail -n 1 "$dir/fetched")"
	exit
fi
"$dir/venv/bin/python3" batch.py ../../docs/how-to/kubernetes.md
