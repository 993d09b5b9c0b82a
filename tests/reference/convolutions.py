"""Outputs of PyTorch's convolutions in double precision, for `tests/convolutions.rs`.

    pip install -r requirements.txt
    python convolutions.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = Path(__file__).parent
PLAIN = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

# sides, channels in and out, kernel, stride, padding, dilation, groups, output padding or None
CASES = [
    ([30], 3, 5, [5], [2], [2], [2], 1, None),
    ([17], 4, 6, [4], [3], [1], [1], 2, [2]),
    ([24, 20], 16, 24, [3, 3], [1, 1], [1, 1], [1, 1], 1, None),
    ([23, 21], 18, 17, [3, 3], [1, 1], [0, 2], [1, 1], 1, None),
    ([24, 20], 16, 16, [3, 3], [1, 1], [1, 1], [1, 1], 1, [0, 0]),
    ([20, 18], 6, 9, [3, 3], [2, 2], [1, 1], [1, 1], 3, None),
    ([19, 26], 5, 4, [3, 5], [1, 1], [4, 4], [4, 2], 1, None),
    ([22, 22], 8, 8, [3, 3], [1, 1], [1, 1], [1, 1], 8, None),
    ([12, 10], 16, 8, [2, 2], [2, 2], [0, 0], [1, 1], 1, [0, 0]),
    ([9, 11], 6, 4, [4, 3], [2, 3], [1, 0], [1, 2], 2, [1, 0]),
    ([26, 26], 7, 19, [1, 1], [1, 1], [0, 0], [1, 1], 1, None),
    ([8, 9, 10], 16, 16, [3, 3, 3], [1, 1, 1], [1, 1, 1], [1, 1, 1], 1, None),
    ([7, 8, 9], 4, 6, [3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 1, 1], 2, None),
    ([5, 6, 4], 4, 3, [2, 2, 2], [2, 2, 2], [0, 0, 0], [1, 1, 1], 1, [0, 0, 0]),
]


def main():
    generator = torch.Generator().manual_seed(1)
    tensors, cases = {}, []
    for at, case in enumerate(CASES):
        sides, inputs, outputs, kernel, stride, padding, dilation, groups, output_padding = case
        channels = (inputs, outputs // groups) if output_padding is not None else (outputs, inputs // groups)

        def random(*shape):
            return torch.randn(shape, generator=generator)

        x, weight, bias = random(1 + at % 2, inputs, *sides), random(*channels, *kernel), random(outputs)
        args = [tensor.double() for tensor in (x, weight, bias)]
        if output_padding is None:
            out = PLAIN[len(sides)](*args, stride, padding, dilation, groups)
        else:
            out = TRANSPOSED[len(sides)](*args, stride, padding, output_padding, groups, dilation)
        tensors |= {f"{at}/x": x, f"{at}/weight": weight, f"{at}/bias": bias, f"{at}/out": out.float()}
        cases.append(dict(stride=stride, padding=padding, dilation=dilation, groups=groups,
                          output_padding=output_padding))
    save_file(tensors, HERE / "convolutions.safetensors", {"cases": json.dumps(cases)})
    print(f"{len(cases)} cases, torch {torch.__version__}")


if __name__ == "__main__":
    main()
