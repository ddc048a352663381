"""Stand-alone program that compiles a StableHLO program for a TPU slice without the TPU.

    python tpu_compiler.py STEP.mlir v5e:2x4 [--watch]

It needs only jax and libtpu, so that it can run in an environment of its own. Prints one JSON object: the number of
chips, and the executable's memory and operations or the compiler's error.

With --watch, it ends when standard input does: with the process that started it.
"""

import json
import os
import re
import sys
import threading
import time
from pathlib import Path

WATCHING = "--watch"
ACCELERATORS = {"v4": "v4-8", "v5e": "v5litepod-4", "v5p": "v5p-8", "v6e": "v6e-4"}
# ops of an older dialect in TensorFlow's StableHLO, which the compiler's parser does not know
MHLO_COPY = re.compile(r"mhlo\.copy (%\w+) : (tensor<[^>]*>)")
MHLO_ERF = re.compile(r"mhlo\.erf (%\w+) : (tensor<[^>]*>)")
PACKED_BITS = re.compile(r'dense<"0x([0-9A-F]+)"> : tensor<((?:\d+x)+)i1>')
"""Boolean constants with eight values per byte; the parser expects one byte each."""


def readable(text: str) -> str:
    """TensorFlow's StableHLO in the dialect of the compiler's parser."""
    text = MHLO_COPY.sub(r"stablehlo.reshape \1 : (\2) -> \2", text)
    text = MHLO_ERF.sub(r"chlo.erf \1 : \2 -> \2", text)
    return PACKED_BITS.sub(_unpacked, text)


def compiled(text: str, topology: str) -> dict[str, object]:
    """Compile for one chip of the slice; returns what `main` prints."""
    import numpy as np
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax, xla_client
    from jax._src.lib.mlir import ir
    from jax.experimental import topologies

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    options = xla_client.CompileOptions()
    options.num_replicas = options.num_partitions = 1
    options.device_assignment = xla_client.DeviceAssignment.create(np.array([[devices[0].id]], dtype="int32"))
    found: dict[str, object] = {"chips": len(devices), "kind": devices[0].device_kind}
    with mlir.make_ir_context():
        module = ir.Module.parse(readable(text))
        start = time.monotonic()
        try:
            executable = devices[0].client.compile(module, _jax.DeviceList((devices[0],)), options)
        except RuntimeError as error:
            return found | {"error": str(error)}
    memory, cost = executable.get_compiled_memory_stats(), executable.cost_analysis()
    return found | {
        "seconds": time.monotonic() - start,
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "aliased": memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "code": memory.generated_code_size_in_bytes,
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
    }


def main() -> None:
    """Compile the program named on the command line and print the result as JSON."""
    path, topology, *options = sys.argv[1:]
    if WATCHING in options:
        threading.Thread(target=_end_with_input, daemon=True).start()
    os.environ.update(
        TPU_SKIP_MDS_QUERY="1",
        JAX_PLATFORMS="cpu",
        TPU_ACCELERATOR_TYPE=ACCELERATORS[topology.partition(":")[0]],
        TPU_WORKER_HOSTNAMES="localhost",
    )
    print(json.dumps(compiled(Path(path).read_text(), topology)))


def _end_with_input() -> None:
    os.read(0, 1)
    os._exit(1)


def _unpacked(match: re.Match[str]) -> str:
    count = 1
    for extent in match[2].rstrip("x").split("x"):
        count *= int(extent)
    packed = int.from_bytes(bytes.fromhex(match[1]), "little")
    bits = "".join(f"0{packed >> number & 1}" for number in range(count))
    return f'dense<"0x{bits}"> : tensor<{match[2]}i1>'


if __name__ == "__main__":
    main()
