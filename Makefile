# `make` is the whole gate; `make demo` and `make test` also fetch what they need.
# Everything fetched is pinned by SHA-256 and lands in $FINETUNE_HOME.

GO        ?= go
BIN       := bin/finetune
FUZZTIME  ?= 30s
BENCHTIME ?= 1s

# Tools run at these versions; the checksum database and the module cache vouch for them.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X finetune/cli.Version=$(VERSION))

SETUP    := $(GO) run ./internal/fetch/setup
PACKAGES := ./...
RACE     := $(patsubst %,./%/...,$(wildcard activations augment dataset internal/fetch learner serve))

.PHONY: all gate fmt vet staticcheck test race verify build fetch demo cuda clean golden proto bench fuzz sbom vuln

all: gate
gate: test build

build: # reproducible: the same sources give the same bytes in any folder
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN) .

test: fetch verify fmt vet staticcheck
	$(GO) test $(PACKAGES)
	$(GO) test -race -short $(RACE)

fetch: # once: ONNX Runtime and the default body
	@$(SETUP) runtime efficientnet-lite0

demo: fetch build # trains on photographs of solar cells and says where the report is
	@$(SETUP) solar-cells
	$(BIN) demo

cuda: # ONNX Runtime for NVIDIA GPUs, about 2 GB
	@$(SETUP) cuda

verify:
	@$(GO) mod verify

fmt:
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)

staticcheck:
	$(GO) run $(STATICCHECK) $(PACKAGES)

race:
	$(GO) test -race $(RACE)

golden: # rewrites the pictures that plots and images are compared with
	GOLDEN_UPDATE=1 $(GO) test ./plots/... ./augment/...

proto: # rewrites onnx/graph/onnxpb from onnx.proto
	$(GO) generate ./onnx/graph/onnxpb

bench:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(PACKAGES)

fuzz: # every fuzz test of the repository for FUZZTIME
	@set -e; for p in $$($(GO) list $(PACKAGES)); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

sbom: # dist/sbom.json: every module in the binary, in CycloneDX form
	@mkdir -p dist
	$(GO) run $(CYCLONEDX) app -json -licenses -output dist/sbom.json -main . .

vuln: # asks the Go vulnerability database, which needs its network address
	$(GO) run $(GOVULNCHECK) $(PACKAGES)

clean:
	rm -rf bin dist
