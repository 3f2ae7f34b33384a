"""A quick quantization with random data, under the original's name."""

import sys

from vai_q_onnx.tool_command import run_random_quantize

if __name__ == "__main__":
    sys.exit(run_random_quantize())
