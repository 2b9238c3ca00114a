# `make` is the whole gate; `make demo` and `make test` also fetch what they need.
# Everything fetched is pinned by SHA-256 and lands in $FINETUNE_HOME.

# Before anything else: what this machine lacks is said, with what to type, and Go is brought where it is absent or too old.
GO ?= go
ifneq (,$(filter 3.7% 3.80,$(MAKE_VERSION)))
$(error GNU make 3.81 or newer is needed; this is $(MAKE_VERSION))
endif
ifneq (,$(filter-out clean,$(or $(MAKECMDGOALS),all)))
ifeq (,$(findstring n,$(firstword -$(MAKEFLAGS)))$(findstring q,$(firstword -$(MAKEFLAGS))))
FOUND := $(shell FINETUNE_HOME='$(FINETUNE_HOME)' CC='$(if $(filter default,$(origin CC)),,$(CC))' tools/toolchain.sh go '$(GO)' $(or $(MAKECMDGOALS),all))
$(if $(FOUND),,$(error the lines above say what to do))
ifneq (-,$(firstword $(FOUND)))
export CC := $(firstword $(FOUND))
endif
BROUGHT := $(wordlist 2,99,$(FOUND))
ifneq (,$(BROUGHT))
override GO := "$(BROUGHT)/go"
export PATH := $(BROUGHT):$(PATH)
export GOTOOLCHAIN := local
unexport GOROOT
endif
endif
endif

BIN       := bin/finetune
FUZZTIME  ?= 30s
BENCHTIME ?= 1s
PROTOC    ?= protoc
KILLS     ?= 100
HOSTILE   ?= 5000

# make bench ONLY=head,step PHOTOS=FOLDER COUNT=50 ROUNDS=5 DOCS=
ONLY   ?=
PHOTOS ?=
COUNT  ?= 200
ROUNDS ?= 3
DOCS   ?= docs/lab/side-by-side.md

# What --version prints: the tag of this commit, or what comes NEXT and the commit.
NEXT    := v0.1.0
TAGGED  := $(shell git describe --tags --exact-match --match 'v[0-9]*' --dirty 2>/dev/null)
COMMIT  := $(shell git describe --always --exclude '*' --dirty=.changed 2>/dev/null)
VERSION := $(or $(TAGGED),$(NEXT)-dev$(addprefix +,$(COMMIT)))
LDFLAGS := -s -w -X $(shell sed -n 's/^module //p' go.mod)/cli.Version=$(VERSION)

# The modules that carry the decoders of HEIC and AVIF would look for libraries of this machine at every start; pixels should not depend on those.
ALWAYS := nodynamic

SETUP    := $(GO) run ./internal/fetch/setup
TOOL     := $(GO) build -C tools -o $(CURDIR)/bin/tools/
PACKAGES := ./...
RACE     := $(patsubst %,./%/...,$(wildcard activations augment dataset internal/fetch learner serve head onnx/quantize finetuning))

.PHONY: all gate fmt vet staticcheck test test-runtimes race verify build fetch runtimes demo cuda openvino test-openvino cross wine arm64 clean golden proto bench microbench \
	kills faults tensorboard hostile corpus fuzz mutants same-bytes sanitize notices sbom test-node tutorial vuln spark job-kills manifests module-path toolchain toolchain-check dist dist-check

all: gate
gate: test build

build: # reproducible: the same sources give the same bytes in any folder
	$(GO) build -trimpath -buildvcs=false -tags '$(ALWAYS)' -ldflags '$(LDFLAGS)' -o $(BIN) .

test: fetch verify fmt vet staticcheck
	@tools/toolchain_test.sh
	$(GO) test -timeout 30m $(PACKAGES)
	FINETUNE_JPEG=go $(GO) test ./augment/...
	$(GO) test -race -short -timeout 30m $(RACE)

toolchain-check: # make demo without Go and, with OLD=/path/to/go, with that older Go first in PATH; 200 MB each
	tools/toolchain_test.sh demo $(OLD)

toolchain: # which Go and C compiler are used
	@$(GO) version; echo "$$($(GO) env GOROOT), $$($(GO) env CC)"

# What ONNX Runtime can break: every operator's gradient, bodies, int8, float16, artifacts, optimisers, resume, export, and the commands that use them.
test-runtimes: fetch runtimes # with the oldest ONNX Runtime that is accepted and with the CUDA build's version
	@mkdir -p bin; $(SETUP) -paths runtimes >bin/runtimes
	@while read -r lib; do echo "== $$lib"; export ONNXRUNTIME_LIB="$$lib"; \
		$(GO) test -short -timeout 30m ./onnx/... ./head ./finetuning ./learner/... && \
		$(GO) test ./cli -run 'TestScripts/(train|float16|int8|unfreeze)$$|TestHostileModels' || exit 1; done <bin/runtimes

fetch: # once: ONNX Runtime, the decoder of JPEG files, oneDNN and the default body
	@$(SETUP) runtime jpeg onednn efficientnet-lite0

runtimes: # other versions of ONNX Runtime for the CPU, to test with: 40 MB
	@$(SETUP) runtimes

demo: fetch build # trains on photographs of solar cells and says where the report is
	@$(SETUP) solar-cells
	$(BIN) demo

openvino: # ONNX Runtime with Intel's OpenVINO, for bfloat16 on CPUs: 84 MB
	@$(SETUP) openvino

test-openvino: fetch openvino # frozen bodies on OpenVINO: the same bytes in any batch, and lesson 1 in bfloat16
	FINETUNE_TEST_DEVICE=openvino $(GO) test -count=1 ./learner/features -run OpenVINO
	FINETUNE_TEST_DEVICE=openvino $(GO) test -count=1 ./cli -run 'TestScripts/openvino$$|TestKilledPrecompute|TestTwoKilled'

cuda: # ONNX Runtime for NVIDIA GPUs, about 2 GB
	@$(SETUP) cuda

# Other systems, built here. PURE are the packages whose tests need no ONNX Runtime.
WINDOWS := CGO_ENABLED=1 GOOS=windows GOARCH=amd64 CC=x86_64-w64-mingw32-gcc
ARM64   := CGO_ENABLED=1 GOOS=linux GOARCH=arm64 CC=aarch64-linux-gnu-gcc
PURE    ?= $(addprefix ./,activations dataset head metrics schedule scores internal/digest internal/durable internal/home internal/rng)
# These tests start their own binary, which qemu is not asked to run.
STARTS  := ^(TestKilledTenTimes|TestProcessesWithEqualItemsComputeOnce)$$
FOREIGN := -trimpath -buildvcs=false -tags '$(ALWAYS)' -ldflags '$(LDFLAGS)'

cross: # for Windows x86-64 and Linux arm64, into bin/; needs Debian's gcc-mingw-w64-x86-64 and gcc-aarch64-linux-gnu
	$(WINDOWS) $(GO) build $(FOREIGN) -o bin/windows-x64/finetune.exe .
	$(WINDOWS) $(GO) vet $(PACKAGES)
	$(ARM64) $(GO) build $(FOREIGN) -o bin/linux-arm64/finetune .

wine: # the tests of PURE for Windows, under wine; ARGS=-v lists them
	@if v=$$(.ci/wine); then echo "== $$v"; $(WINDOWS) FINETUNE_HOME=/none $(GO) test -short -vet=off -overlay $$(.ci/wine overlay) -exec '$(CURDIR)/.ci/wine' $(ARGS) $(PURE); \
	else [ $$? = 77 ]; fi

arm64: # the tests of PURE for Linux arm64, under qemu
	@if v=$$(.ci/arm64); then echo "== $$v"; $(ARM64) FINETUNE_HOME=/none $(GO) test -short -vet=off -skip '$(STARTS)' -exec '$(CURDIR)/.ci/arm64' $(ARGS) $(PURE); \
	else [ $$? = 77 ]; fi

verify:
	@$(GO) mod verify

fmt:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)

staticcheck:
	@$(TOOL) honnef.co/go/tools/cmd/staticcheck
	bin/tools/staticcheck $(PACKAGES)

race: # RACE with the long tests, and what would take make test minutes
	$(GO) test -race -timeout 2h $(RACE) ./plots/...

golden: # rewrites the pictures and the help texts that tests compare with
	GOLDEN_UPDATE=1 $(GO) test ./plots/... ./augment/...
	GOLDEN_UPDATE=1 $(GO) test ./cli -run TestHelp

tutorial: fetch # follows docs/tutorial.md, whole, with the solar cells, and compares what is printed with the page
	@$(SETUP) solar-cells
	FINETUNE_TUTORIAL=1 $(GO) test ./cli -run 'TestTutorial$$' -count 1 -v -timeout 2h

proto: # rewrites onnx/graph/onnxpb from onnx.proto; PROTOC='python3 -m grpc_tools.protoc' does as well
	@$(TOOL) google.golang.org/protobuf/cmd/protoc-gen-go
	cd onnx/graph/onnxpb && PATH="$(CURDIR)/bin/tools:$$PATH" $(PROTOC) -I. --go_out=. --go_opt=paths=source_relative onnx.proto

bench: fetch build # finetune beside PyTorch and ONNX Runtime from Python, into docs/lab/side-by-side.md; see bench/README.md
	$(GO) build -tags '$(ALWAYS)' -o bin/race ./bench/race
	bin/race -finetune $(BIN) -photos '$(PHOTOS)' -n $(COUNT) -rounds $(ROUNDS) -only '$(ONLY)' -docs '$(DOCS)'

microbench: # Go's benchmarks, for benchstat
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(PACKAGES)

fuzz: # every fuzz test of the repository for FUZZTIME
	@set -e; for p in $$($(GO) list $(PACKAGES)); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

kills: # 100 processes killed at random moments end in the same bytes as undisturbed ones; an hour
	bench/kill.sh $(KILLS)

SPARK ?= $(or $(FINETUNE_HOME),$(HOME)/.cache/finetune)/spark

spark: fetch # jobs on a real Spark of two nodes and an S3 store end in the bytes of one process whatever is killed; 600 MB, Java
	bench/spark/prepare.sh '$(SPARK)'
	TOOLS='$(SPARK)' $(GO) test ./cli -run 'TestSpark' -count 1 -timeout 1h -v

MINUTES ?= 10
ENGINES ?= slurm local train

job-kills: fetch # jobs killed at random moments for MINUTES with each of ENGINES; spark too where `make spark` has brought it
	TOOLS='$(SPARK)' bench/jobs/kills.sh $(MINUTES) $(ENGINES)

manifests: # the manifests of Kubernetes are read by the API server's own code, and those of docs by the clients of AWS and Google; minutes
	bench/kubernetes/check.sh

tensorboard: fetch build # what train --tensorboard writes, kills included, read by TensorBoard's own reader; PHOTOS=FOLDER, minutes
	bench/tensorboard/check.sh $(BIN) $(PHOTOS)

faults: # every step of every write goes wrong once; a quarter of an hour
	FINETUNE_FAULTS=all $(GO) test ./cli -run 'TestFaults|TestBitRot' -count 1 -timeout 2h -v

CORPUS ?= dist/corpus
PYTHON ?= python3

corpus: # hundreds of files of every kind beside Pillow, with both decoders of JPEG; PYTHON needs Pillow, tifffile, imagecodecs, pillow-heif; cjpeg
	$(PYTHON) bench/corpus/make.py $(CORPUS)
	FINETUNE_JPEG=go $(GO) run -tags '$(ALWAYS)' ./bench/corpus -rows $(CORPUS)-go $(CORPUS)
	$(GO) run -tags '$(ALWAYS)' ./bench/corpus -against $(CORPUS)-go $(CORPUS)

hostile: # thousands of files made to break score and precompute
	$(GO) run ./bench/hostile -n $(HOSTILE)

NODES ?= dist/nodes

test-node: fetch # the ONNX project's 1,884 tests of one operator: no shape wrong, each gradient that of its reference evaluator; minutes
	@test -x $(NODES)/bin/python || $(PYTHON) -m venv $(NODES)
	$(NODES)/bin/python -m pip install -q --only-binary=:all: --require-hashes -r testdata/reference/nodes.txt
	$(NODES)/bin/python testdata/reference/nodes.py $(NODES)/nodes.jsonl
	FINETUNE_NODES='$(CURDIR)/$(NODES)/nodes.jsonl' $(GO) test ./onnx/gradient -run 'TestNode' -count 1 -timeout 30m -v

sanitize: # the C kernels of the head under the address sanitizer, odd widths and large batches included
	$(GO) test -asan -short -skip TestStepDoesNotAllocate ./head

same-bytes: # OLD=COMMIT: whether this tree still makes its bytes and reads what it left; minutes. PHOTOS=FOLDER, MAY='GLOB=REASON'
	FINETUNE_JPEG=go $(GO) run ./bench/samebytes -old '$(OLD)' -tags '$(ALWAYS)' -photos '$(PHOTOS)' $(if $(MAY),-may '$(MAY)')

mutants: # how many small changes of the code its tests notice, by package; an hour. MUTANTS='-n 60 -seed 2 ./scores'
	$(GO) run ./bench/mutants $(MUTANTS)

notices: # bin/THIRD_PARTY_NOTICES.txt: the licences of all that is linked in, which go with the binary
	@$(GO) run ./internal/fetch/notices -tags '$(ALWAYS)' -o bin/THIRD_PARTY_NOTICES.txt

sbom: build # dist/sbom.json: every module and every pinned download, in CycloneDX form
	$(GO) run ./internal/fetch/sbom -tags '$(ALWAYS)' -o dist/sbom.json $(BIN)

vuln: # asks the Go vulnerability database, which needs its network address
	@$(TOOL) golang.org/x/vuln/cmd/govulncheck
	bin/tools/govulncheck $(PACKAGES)

DIST ?= linux-x64 linux-arm64 windows-x64 macos-arm64

dist: build # dist/finetune-VERSION-PLATFORM: archives for people without Go, make or pip; brings a cross compiler, 100 MB
	tools/dist.sh '$(VERSION)' '$(LDFLAGS)' $(DIST)

dist-check: # as root: the archive of Linux x86-64 trains and scores in a root with nothing but C libraries; PHOTOS=FOLDER has train and valid
	tools/dist_test.sh dist/finetune-$(VERSION:v%=%)-linux-x64.tar.gz '$(PHOTOS)'

module-path: # MODULE=host/owner/finetune: the name under which this tree is published, in go.mod and every import
	$(GO) run ./internal/modulepath $(MODULE)

clean:
	rm -rf bin dist
