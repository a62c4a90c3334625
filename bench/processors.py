"""Do two makes of processor compute the same bits, and with which settings of the libraries; what the settings cost.

    python bench/processors.py            needs qemu-x86_64 (Debian: qemu-user)
    python bench/processors.py --cost     the costs alone, on this processor

An emulated Intel (Haswell) and an emulated AMD (EPYC Rome), both with AVX2 and FMA, train a small transformer block for
three steps in fp32, in one thread. MKL asks the processor for its make, so that the emulation shows which path it
takes; times under it mean nothing. A digest of the weights stands for the bits. The cost is that of the same steps,
wider, on the processor that is there.
"""

import argparse
import os
import shutil
import subprocess
import sys

from tunegate.models.devices import PORTABLE

MAKES = {"Intel": "Haswell", "AMD": "EPYC-Rome"}
SETTINGS: dict[str, dict[str, str]] = {
    "none": {},
    "MKL_CBWR=AVX2": {"MKL_CBWR": "AVX2"},
    "MKL_CBWR=COMPATIBLE": {"MKL_CBWR": "COMPATIBLE"},
    "`train.instructions: portable`": dict(PORTABLE),
    "the same, ATEN_CPU_CAPABILITY=default": PORTABLE | {"ATEN_CPU_CAPABILITY": "default"},
}
STEPS = """
import hashlib, sys, time
import torch
import torch.nn.functional as F
width, length, steps = map(int, sys.argv[1:])
torch.manual_seed(0)
sizes = {"query": (width, width), "key": (width, width), "value": (width, width), "output": (width, width),
         "gate": (3 * width, width), "up": (3 * width, width), "down": (width, 3 * width), "words": (512, width)}
weights = {name: (torch.randn(size) / width**0.5).requires_grad_() for name, size in sizes.items()}
ids = torch.randint(512, (2, length + 1))
def loss():
    states = F.embedding(ids[:, :-1], weights["words"])
    angles = torch.arange(length)[:, None] * 1e4 ** (-torch.arange(32) / 32)
    def heads(name):
        return F.linear(F.rms_norm(states, (width,)), weights[name]).view(2, length, -1, 32).transpose(1, 2)
    turned = [heads(name) * angles.cos() + heads(name).roll(16, -1) * angles.sin() for name in ("query", "key")]
    mixed = F.scaled_dot_product_attention(*turned, heads("value"), is_causal=True)
    states = states + F.linear(mixed.transpose(1, 2).flatten(2), weights["output"])
    inner = F.rms_norm(states, (width,))
    gated = F.silu(F.linear(inner, weights["gate"])) * F.linear(inner, weights["up"])
    states = states + F.linear(gated, weights["down"])
    return F.cross_entropy(F.linear(states, weights["words"]).flatten(0, 1), ids[:, 1:].flatten())
for step in range(steps):
    begun = time.perf_counter()
    for weight, gradient in zip(weights.values(), torch.autograd.grad(loss(), list(weights.values())), strict=True):
        weight.data -= 0.1 * gradient
last = time.perf_counter() - begun
content = b"".join(weight.detach().numpy().tobytes() for weight in weights.values())
print(hashlib.sha256(content).hexdigest()[:12], f"{last:.3f}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cost", action="store_true", help="without the emulation")
    emulator = None if parser.parse_args().cost else shutil.which("qemu-x86_64") or sys.exit("qemu-x86_64 is missing")
    columns = [*(MAKES if emulator else ()), "seconds a step here", "ratio"]
    print("| setting |", " | ".join(columns), "|\n|---|" + "---|" * len(columns))
    plain = None
    for name, setting in SETTINGS.items():
        digests = [run([emulator, "-cpu", model], setting, 64, 24)[0] for model in MAKES.values()] if emulator else []
        seconds = float(run([], setting, 576, 512)[1])
        plain = plain or seconds
        print(f"| {name} |", " | ".join([*digests, f"{seconds:.2f}", f"{seconds / plain:.1f}"]), "|", flush=True)


def run(emulator: list[str], setting: dict[str, str], width: int, length: int) -> list[str]:
    """Digest of the weights, and the seconds of the last step."""
    command = [*emulator, sys.executable, "-c", STEPS, str(width), str(length), "3"]
    environment = {name: value for name, value in os.environ.items() if name not in PORTABLE}
    process = subprocess.run(
        command, env=environment | {"OMP_NUM_THREADS": "1"} | setting, capture_output=True, text=True, check=False
    )
    if process.returncode != 0:
        sys.exit(process.stderr[-2000:])
    return process.stdout.split()


if __name__ == "__main__":
    main()
