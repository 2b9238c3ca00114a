"""The same frozen networks and photographs for every script: PyTorch, eager or compiled, and ONNX Runtime from Python.

Weights are random where that leaves the speed alone.
"""
import pathlib

import numpy as np
from PIL import Image

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
ENGINES = ["eager", "compile", "onnxruntime", "openvino"]


def arguments(parser):
    parser.add_argument("--engine", default="eager", choices=ENGINES)
    parser.add_argument("--body", default="efficientnet-lite0", help="for PyTorch: resnet18/34/50 or efficientnet-lite0")
    parser.add_argument("--model", help="for onnxruntime: FILE.onnx")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="PyTorch: autocast, channels last; OpenVINO: its hint")


def photographs(folder):
    return sorted(str(p) for p in pathlib.Path(folder).rglob("*") if p.is_file())


def load(path, size=224, normalise=True):
    """A photograph as float32 [3, size, size]: shorter side scaled, centre cropped."""
    im = Image.open(path).convert("RGB")
    w, h = im.size
    s = size / min(w, h)
    im = im.resize((max(size, round(w * s)), max(size, round(h * s))), Image.BILINEAR)
    left, top = (im.size[0] - size) // 2, (im.size[1] - size) // 2
    x = np.asarray(im.crop((left, top, left + size, top + size)), np.float32) / 255
    return np.ascontiguousarray((((x - MEAN) / STD) if normalise else x).transpose(2, 0, 1))


def onnx(path, threads, output, openvino=None):
    """float32 [N, 3, S, S] -> the named output, and the engine's name. openvino is its precision, f32 or bf16."""
    import json

    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    providers, name = ["CPUExecutionProvider"], f"ONNX Runtime {ort.__version__} from Python"
    if openvino:
        hints = {"CPU": {"INFERENCE_PRECISION_HINT": openvino, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}}
        providers = [("OpenVINOExecutionProvider", {"device_type": "CPU", "load_config": json.dumps(hints)})]
        name += f", OpenVINO in {openvino}"
    session = ort.InferenceSession(path, options, providers=providers)
    image = session.get_inputs()[0].name
    return (lambda x: session.run([output], {image: x})[0]), name


def torch_network(body):
    """The whole network and its features before pooling, in evaluation mode."""
    if body.startswith("resnet"):
        import torch
        import torchvision

        net = getattr(torchvision.models, body)(weights=None).eval()
        return net, torch.nn.Sequential(*list(net.children())[:-2])
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name(body).eval()
    return net, net.extract_features


def features(a):
    """float32 [N, 3, S, S] -> features [N, 2C], maxima before means, and the engine's name."""
    if a.engine == "onnxruntime":
        return onnx(a.model, a.threads, "features")
    if a.engine == "openvino":
        return onnx(a.model, a.threads, "features", "bf16" if a.bfloat16 else "f32")
    import torch

    torch.set_num_threads(a.threads)
    whole, net = torch_network(a.body)  # the second is part of the first
    if a.bfloat16:
        whole.to(memory_format=torch.channels_last)

    def run(x):
        f = net(x)
        return torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1)

    return inference(run, a.engine, a.bfloat16)


def classifier(a):
    """float32 [N, 3, S, S] -> scores [N, classes], and the engine's name."""
    if a.engine == "onnxruntime":
        return onnx(a.model, a.threads, "probabilities")
    import torch

    torch.set_num_threads(a.threads)
    return inference(torch_network(a.body)[0], a.engine)


def inference(net, engine, bfloat16=False):
    import torch

    if engine == "compile":
        net = torch.compile(net)

    def run(x):
        x = torch.from_numpy(x)
        if bfloat16:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return net(x).float().numpy()

    return run, torch_name(engine) + (", bfloat16" if bfloat16 else "")


def torch_name(engine):
    import torch

    return f"PyTorch {torch.__version__}, {'torch.compile' if engine == 'compile' else 'eager'}"
