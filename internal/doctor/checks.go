package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"finetune/internal/demo"
	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/fetch"
	"finetune/internal/home"
	"finetune/internal/plural"
	"finetune/onnx"
	"finetune/onnx/bodies"
)

// folder checks that $FINETUNE_HOME can be written and has a gigabyte free.
func folder() Finding {
	f := Finding{Name: "folder", Detail: home.Dir()}
	probe := home.Path(".doctor")
	err := durable.WriteFile(probe, nil)
	os.Remove(probe)
	switch {
	case err != nil:
		f.Status, f.Fix = Broken, "set FINETUNE_HOME to a folder you may write to"
		f.Detail = fmt.Sprintf("%s: %v", home.Dir(), err)
	case durable.Room(home.Dir(), 1<<30) != nil:
		f.Status, f.Fix = Broken, "`finetune cache prune --keep 1GB`, or set FINETUNE_HOME to a folder on a larger disk"
		f.Detail = durable.Room(home.Dir(), 1<<30).Error()
	}
	return f
}

const fixRuntime = "`finetune fetch runtime`, or `make fetch` in a checkout"

// library finds ONNX Runtime, verifies it where finetune fetched it, loads it
// and runs a model of one node.
func library() []Finding {
	path, err := onnx.FindLibrary("auto")
	if err != nil {
		return []Finding{{"runtime", Missing, err.Error(), fixRuntime}}
	}
	file := Finding{Name: "runtime", Detail: path}
	for _, name := range []string{"runtime", "cuda", "openvino"} {
		if !slices.Contains(fetch.Names(), name) { // not every system has a CUDA build
			continue
		}
		installed, _, err := fetch.Installed(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return []Finding{{"runtime", Broken, err.Error(), "`finetune fetch " + name + "`"}}
		}
		if err == nil && installed == path {
			file.Detail += " (intact)"
		}
	}
	if digest, err := digest.File(path); err == nil {
		file.Detail += "\nsha256 " + digest
	}
	if filepath.Dir(filepath.Dir(path)) == home.Beside("lib") {
		file.Detail += "\ncame with this program"
	}
	file.Detail += "\n" + trust(path)
	return []Finding{file, loads(path)}
}

// trust says what the library's digest was compared with.
func trust(path string) string {
	if onnx.Named(path) {
		return "named by ONNXRUNTIME_LIB: used without comparing its digest"
	}
	switch compared, err := fetch.CheckLibrary(path); {
	case err != nil:
		return err.Error()
	case compared == fetch.Pinned:
		return "its digest is compared with the known one before it is loaded"
	case compared == fetch.Recorded:
		return "compared with the digest in SHA256SUMS beside it before it is loaded; none is pinned for it"
	}
	return "not a build that finetune downloads: used without comparing its digest"
}

func loads(path string) Finding {
	f := Finding{Name: "runtime loads"}
	loaded, err := onnx.Start("")
	if err == nil {
		f.Detail = fmt.Sprintf("ONNX Runtime %s, C API %d", loaded.Version, loaded.API)
		err = onnx.Try("cpu")
	}
	if err != nil {
		f.Status, f.Detail, f.Fix = Broken, err.Error(), fixRuntime
		if os.Getenv("ONNXRUNTIME_LIB") != "" {
			f.Fix = "unset ONNXRUNTIME_LIB (" + path + "), or point it at another library"
		}
		var lack *onnx.LackError
		if errors.As(err, &lack) {
			f.Detail, f.Fix = fmt.Sprintf("needs %s, which this system lacks", lack.Lack), lack.Mend()
		}
		return f
	}
	f.Detail += ", provider CPU"
	if _, why := onnx.Chosen("auto"); why != nil {
		f.Detail += "; `--device auto` is the CPU, for what is said of the GPU below"
	}
	return f
}

// weights checks every body's weights; one of the defaults is needed.
func weights() []Finding {
	var found []Finding
	var installed, absent []string
	usable := false
	for _, name := range bodies.Names() {
		path, err := bodies.WeightsPath(name)
		if b, ok := bodies.Shipped(name); err != nil && ok {
			installed = append(installed,
				fmt.Sprintf("%s  %s  sha256 %.12s (came with this program)", name, b.Path, b.Spec.Digest))
			usable = usable || slices.Contains(bodies.Defaults, name)
			continue
		}
		if err != nil {
			absent = append(absent, name)
			continue
		}
		detail := name + "  " + path
		switch own, digest, err := fetch.Installed(name); {
		case err == nil && own == path:
			detail += fmt.Sprintf("  sha256 %.12s (intact)", digest)
		case err != nil && !errors.Is(err, os.ErrNotExist):
			found = append(found, Finding{"body " + name, Broken, err.Error(), "`finetune fetch " + name + "`"})
			continue
		}
		installed = append(installed, detail)
		for _, d := range bodies.Defaults {
			usable = usable || d == name
		}
	}
	f := Finding{Name: "bodies", Detail: strings.Join(installed, "\n")}
	if !usable {
		last := bodies.Defaults[len(bodies.Defaults)-1]
		f.Status, f.Fix = Missing, "`finetune fetch "+last+"`, or `make fetch` in a checkout"
		f.Detail = strings.Join(append(installed,
			"no weights of "+strings.Join(bodies.Defaults, " or ")+" in "+home.Path("weights")), "\n")
	}
	found = append(found, f)
	if len(absent) > 0 && usable {
		found = append(found, Finding{"more bodies", Absent, strings.Join(absent, ", "),
			"`finetune fetch NAME`, or `finetune import NAME --weights FILE -o BODY.onnx`"})
	}
	return found
}

func photographs() Finding {
	if _, err := os.Stat(demo.Dir()); err != nil {
		return Finding{"demo photographs", Absent, demo.Dir(), "`finetune demo` fetches them (91 MB)"}
	}
	return Finding{Name: "demo photographs", Detail: demo.Dir()}
}

// cache says how large the activation cache is.
func cache() Finding {
	dir := home.Path("cache")
	var bytes int64
	files := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
			files++
		}
		return nil // a file may go while we look
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Finding{"cache", Broken, err.Error(), "set FINETUNE_HOME to a folder you may write to"}
	}
	return Finding{Name: "cache", Detail: fmt.Sprintf("%s: %s, %.1f MB", dir, plural.Count(files, "file"),
		float64(bytes)/1e6)}
}

// processor names the cores and the instructions that ONNX Runtime's kernels use.
func processor() Finding {
	has := []struct {
		name string
		ok   bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"AVX-512", cpu.X86.HasAVX512F}, {"VNNI", cpu.X86.HasAVX512VNNI},
		{"AVX-512 bfloat16", cpu.X86.HasAVX512BF16}, {"AMX", onnx.HasMatrices()},
		{"NEON", cpu.ARM64.HasASIMD}, {"dot product", cpu.ARM64.HasASIMDDP}, {"SVE", cpu.ARM64.HasSVE},
	}
	var names []string
	for _, h := range has {
		if h.ok {
			names = append(names, h.name)
		}
	}
	detail := []string{fmt.Sprintf("%s (%s)", plural.Count(runtime.GOMAXPROCS(0), "core"), runtime.GOARCH)}
	return Finding{Name: "processor", Detail: strings.Join(append(detail, names...), ", ")}
}
