"""The networks of `peers.py` in PyTorch, with the parameter names of segcam-models."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "reference"))
from unet import UNet, randomize  # noqa: E402


def conv(c_in, c_out, kernel, stride=1, dilation=1):
    pad = kernel // 2 * dilation
    return nn.Conv2d(c_in, c_out, kernel, stride, pad, dilation, bias=False)


class BnAct(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=1e-3)
        self.act = nn.PReLU(channels)

    def forward(self, x):
        return self.act(self.bn(x))


class ConvBnAct(BnAct):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_out)
        self.conv = conv(c_in, c_out, 3, stride)

    def forward(self, x):
        return super().forward(self.conv(x))


class Esp(nn.Module):
    def __init__(self, c_in, c_out, stride, residual):
        super().__init__()
        n = c_out // 5
        self.c1 = conv(c_in, n, 1 if stride == 1 else 3, stride)
        self.d1 = conv(n, c_out - 4 * n, 3)
        self.d2, self.d4, self.d8, self.d16 = (conv(n, n, 3, 1, d) for d in (2, 4, 8, 16))
        self.br = BnAct(c_out)
        self.residual = residual

    def forward(self, x):
        reduced = self.c1(x)
        d2 = self.d2(reduced)
        d4 = d2 + self.d4(reduced)
        d8 = d4 + self.d8(reduced)
        d16 = d8 + self.d16(reduced)
        y = torch.cat([self.d1(reduced), d2, d4, d8, d16], 1)
        return self.br(x + y if self.residual else y)


class Encoder(nn.Module):
    def __init__(self, classes, p, q):
        super().__init__()
        self.level1 = ConvBnAct(3, 16, 2)
        self.b1 = BnAct(19)
        self.level2_0 = Esp(19, 64, 2, False)
        self.level2 = nn.ModuleList(Esp(64, 64, 1, True) for _ in range(p))
        self.b2 = BnAct(131)
        self.level3_0 = Esp(131, 128, 2, False)
        self.level3 = nn.ModuleList(Esp(128, 128, 1, True) for _ in range(q))
        self.b3 = BnAct(256)
        self.classifier = conv(256, classes, 1)


class EspNet(nn.Module):
    """ESPNet (Mehta et al. 2018), written from the paper and segcam's own module."""

    def __init__(self, classes, p=2, q=8):
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.level3_c = conv(131, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=1e-3)
        self.up_l3, self.up_l2, self.classifier = (
            nn.ConvTranspose2d(classes, classes, 2, 2, bias=False) for _ in range(3))
        self.combine = BnAct(2 * classes)
        self.combine_esp = Esp(2 * classes, classes, 1, False)
        self.up_l2_br = BnAct(classes)
        self.conv = ConvBnAct(16 + classes, classes)

    def forward(self, x):
        e = self.encoder
        half = F.avg_pool2d(x, 3, 2, 1)
        quarter = F.avg_pool2d(half, 3, 2, 1)
        enc1 = e.level1(x)
        down = e.level2_0(e.b1(torch.cat([enc1, half], 1)))
        y = down
        for module in e.level2:
            y = module(y)
        enc2 = e.b2(torch.cat([y, down, quarter], 1))
        down = e.level3_0(enc2)
        y = down
        for module in e.level3:
            y = module(y)
        mid = e.b3(torch.cat([down, y], 1))
        y = self.up_l3(self.br(e.classifier(mid)))
        dec2 = self.combine_esp(self.combine(torch.cat([self.level3_c(enc2), y], 1)))
        y = self.up_l2_br(self.up_l2(dec2))
        return self.classifier(self.conv(torch.cat([y, enc1], 1)))


def unet(width, classes, seed=1, levels=5):
    torch.manual_seed(seed)
    model = UNet(3, classes, [width << level for level in range(levels)])
    randomize(model, torch.Generator().manual_seed(seed))
    return model.eval()


def unet3(width, classes, seed=1):
    return unet(width, classes, seed, levels=3)


def espnet(q, classes, seed=1):
    torch.manual_seed(seed)
    model = EspNet(classes, q=q)
    randomize(model, torch.Generator().manual_seed(seed))
    return model.eval()


class MeshNet(nn.Module):
    """Names of parameters and layers are those of segcam-models."""

    def __init__(self, width, classes, dilations=(1, 2, 4, 8, 16, 8, 4, 2, 1)):
        super().__init__()
        self.hidden = nn.ModuleList(
            nn.Conv3d(width if at else 1, width, 3, 1, d, d) for at, d in enumerate(dilations))
        self.relus = nn.ModuleList(nn.ReLU() for _ in dilations)
        self.out = nn.Conv3d(width, classes, 1)

    def forward(self, x):
        for conv, relu in zip(self.hidden, self.relus):
            x = relu(conv(x))
        return self.out(x)


def meshnet(width, classes, seed=1):
    torch.manual_seed(seed)
    return MeshNet(width, classes).eval()


def layer(model, name):
    """The module whose output segcam calls `name`."""
    if isinstance(model, EspNet):
        return {"mid": model.encoder.b3, "dec2": model.combine_esp, "dec1": model.conv}[name]
    if isinstance(model, MeshNet):
        return model.relus[int(name.removeprefix("conv"))]
    if name == "mid":
        return model.middle
    part, level = name[:3], int(name[3:]) - 1
    return model.encoder[level] if part == "enc" else model.decoder[level].block


class Tail:
    """A network cut at a layer, as a user who knows it would: `head` gives the layer's activation
    and what the rest needs beside it, `rest` gives the logits."""

    def __init__(self, model, name):
        self.model, self.name = model, name

    def head(self, x):
        m = self.model
        if isinstance(m, EspNet):
            kept = {}
            hooks = [layer(m, self.name).register_forward_hook(
                lambda module, given, found: kept.update(a=found))]
            m(x)
            for hook in hooks:
                hook.remove()
            return kept["a"], []
        x, skips = m.encode(x)
        if self.name == "mid":
            return x, skips
        for level in range(len(m.decoder) - 1, int(self.name[3:]) - 2, -1):
            x = self.decode(level, x, skips)
        return x, skips

    def rest(self, a, skips):
        m = self.model
        if isinstance(m, EspNet):
            assert self.name == "dec1"
            return m.classifier(a)
        first = len(m.decoder) - 1 if self.name == "mid" else int(self.name[3:]) - 2
        for level in range(first, -1, -1):
            a = self.decode(level, a, skips)
        return m.out(a)

    def decode(self, level, x, skips):
        decoder = self.model.decoder[level]
        return decoder.block(torch.cat([decoder.up(x), skips[level]], 1))
