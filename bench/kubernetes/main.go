// Kubernetes reads the manifests of jobs as the API server of Kubernetes 1.37 does when they are
// created, with its own code: strictly, with its defaults, with its validation. No cluster is
// needed, but the sources of Kubernetes, 40 MB. check.sh tries good and bad ones.
//
//	finetune run JOB --engine kubernetes --image IMAGE --dry-run | go run . [FILE…]
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/apis/batch"
	batchinstall "k8s.io/kubernetes/pkg/apis/batch/install"
	coreinstall "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"sigs.k8s.io/yaml"
)

func main() {
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"/dev/stdin"}
	}
	failed := false
	for _, name := range names {
		if j, err := read(name); err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: refused: %v\n", name, err)
		} else {
			fmt.Printf("%s: accepted: job %s of %d pods\n", name, j.Name, *j.Spec.Completions)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func read(name string) (*batch.Job, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var external batchv1.Job
	if err := yaml.UnmarshalStrict(data, &external); err != nil {
		return nil, err
	}
	if external.APIVersion != "batch/v1" || external.Kind != "Job" {
		return nil, fmt.Errorf("a %s of %s, not a Job of batch/v1", external.Kind, external.APIVersion)
	}
	scheme := runtime.NewScheme()
	batchinstall.Install(scheme)
	coreinstall.Install(scheme)
	scheme.Default(&external)
	created := new(batch.Job)
	if err := scheme.Convert(&external, created, nil); err != nil {
		return nil, err
	}
	created.Namespace, created.UID = "default", "00000000-0000-0000-0000-000000000000" // given by the server
	job.Strategy.PrepareForCreate(context.Background(), created)
	return created, job.Strategy.Validate(context.Background(), created).ToAggregate()
}
