package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"finetune/internal/faults"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/learner"
	"finetune/onnx"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"finetune": func() {
			faults.FromEnv()
			os.Exit(Main(context.Background(), os.Args, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

// TestScripts runs the commands of testdata/*.txtar as a person would, each in
// a folder of its own, on synthetic photographs and a body with made-up weights.
func TestScripts(t *testing.T) {
	libraries := onnxtest.Libraries(t, onnxtest.Device())
	home := t.TempDir() // shared, so that the body is built once
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("FINETUNE_HOME", home)
			for name, value := range libraries {
				e.Setenv(name, value)
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "openvino":
				return onnxtest.Device() == name && onnx.HasBFloat16(), nil
			case "onednn":
				return libraries["FINETUNE_ONEDNN"] != "off", nil
			}
			return false, fmt.Errorf("condition %q is not known", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"photos": writePhotos, "samebytes": sameBytes, "samescore": sameScore, "garbage": garbage,
		},
	})
}

// writePhotos is `photos DIR N CLASS…`: N pictures of each class below DIR.
func writePhotos(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(photos.Write(ts.MkAbs(args[0]), args[2:], n))
}

// sameBytes is `samebytes A B`: two files are equal, or with ! they are not.
func sameBytes(ts *testscript.TestScript, neg bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if (string(a) == string(b)) == neg {
		ts.Fatalf("%s and %s: equal is %v", args[0], args[1], !neg)
	}
}

// sameScore is `samescore A B`: the float32 score of summary A is the score of summary B.
func sameScore(ts *testscript.TestScript, neg bool, args []string) {
	var a, b learner.Summary
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &a))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &b))
	if a.Float32 == nil || *a.Float32 != b.Valid {
		ts.Fatalf("float32 beside int8: %+v, alone: %+v", a.Float32, b.Valid)
	}
}

// garbage is `garbage FILE…`: files of bytes that are no picture.
func garbage(ts *testscript.TestScript, neg bool, args []string) {
	for _, a := range args {
		path := ts.MkAbs(a)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
		ts.Check(os.WriteFile(path, []byte("\xff\xd8\xff\xe0 this is no photograph"), 0o666))
	}
}
