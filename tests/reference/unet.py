"""The U-Net of `generate.py` and of `benches/peers`, with the parameter names of segcam-models."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, c_in, c_out, batch_norm, double_conv):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(c_out) if batch_norm else None
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1) if double_conv else None
        self.norm2 = nn.BatchNorm2d(c_out) if batch_norm and double_conv else None

    def forward(self, x):
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            if conv is not None:
                x = conv(x)
                x = F.relu(x if norm is None else norm(x))
        return x


class Decoder(nn.Module):
    def __init__(self, c_in, c_skip, c_out, transposed, batch_norm, double_conv):
        super().__init__()
        self.up = nn.ConvTranspose2d(c_in, c_skip, 2, stride=2) if transposed else None
        both = 2 * c_skip if transposed else c_in + c_skip
        self.block = Block(both, c_out, batch_norm, double_conv)


class UNet(nn.Module):
    def __init__(self, channels, classes, widths, batch_norm=True, upsampling="transposed",
                 skip_first=False, double_conv=True, head_relu=False):
        super().__init__()
        w = widths
        ins = [channels] + w[:-1]
        levels = range(len(w) - 1)
        self.encoder = nn.ModuleList(Block(ins[i], w[i], batch_norm, double_conv) for i in levels)
        self.middle = Block(w[-2], w[-1], batch_norm, double_conv)
        transposed = upsampling == "transposed"
        self.decoder = nn.ModuleList(
            Decoder(w[i + 1], w[i], w[i], transposed, batch_norm, double_conv) for i in levels)
        self.out = nn.Conv2d(w[0], classes, 1)
        self.skip_first, self.head_relu = skip_first, head_relu

    def encode(self, x):
        """The bottleneck's activation, and those of the encoder that go past it."""
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        return self.middle(x), skips

    def forward(self, x):
        x, skips = self.encode(x)
        for decoder, skip in zip(reversed(self.decoder), reversed(skips)):
            x = decoder.up(x) if decoder.up is not None else F.interpolate(x, scale_factor=2)
            rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, (columns, 0, rows, 0))
            x = decoder.block(torch.cat([skip, x] if self.skip_first else [x, skip], 1))
        x = self.out(x)
        return F.relu(x) if self.head_relu else x


def randomize(model, generator):
    """Statistics of its own for BatchNorm, which would be nearly the identity, and convolutions
    strong enough to carry a signal through."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.weight.data *= 1.7
        if isinstance(module, nn.BatchNorm2d):
            n = module.num_features
            module.weight.data = 0.5 + torch.rand(n, generator=generator)
            module.bias.data = 0.3 * torch.randn(n, generator=generator)
            module.running_mean = 0.3 * torch.randn(n, generator=generator)
            module.running_var = 0.5 + torch.rand(n, generator=generator)
