"""A full fine-tuning step in PyTorch: forward, backward, SGD. A turn is one step.

    yes '' | head -5 | python bench/step_pytorch.py --body resnet34 --batch 8 [--engine compile] [--precision bfloat16] [--channels-last]

The network is finetune's but for the head: ours is fast.ai's (two BatchNorm, two Linear), PyTorch's the network's own.
"""
import argparse

import torch

import networks
from turns import take_turns

a = argparse.ArgumentParser()
networks.arguments(a)
a.add_argument("--batch", type=int, default=8)
a.add_argument("--size", type=int, default=224)
a.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
a.add_argument("--channels-last", action="store_true")
a.add_argument("--bn-freeze", action="store_true")
a = a.parse_args()
torch.set_num_threads(a.threads)
net = networks.torch_network(a.body)[0].train()
if a.bn_freeze:
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eval()
if a.channels_last:
    net = net.to(memory_format=torch.channels_last)
opt = torch.optim.SGD(net.parameters(), 0.001, momentum=0.9)
model = torch.compile(net) if a.engine == "compile" else net
x, y = torch.randn(a.batch, 3, a.size, a.size), torch.randint(0, 2, (a.batch,))
if a.channels_last:
    x = x.contiguous(memory_format=torch.channels_last)


def step():
    opt.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bfloat16"):
        loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    opt.step()


name = networks.torch_name(a.engine)
name += ", channels last" if a.channels_last else ""
name += ", bfloat16" if a.precision == "bfloat16" else ""
take_turns(step, engine=name)
