"""`quantforge convert fp16-to-fp32` under the original's name."""

import sys

from vai_q_onnx.tool_command import run_conversion

if __name__ == "__main__":
    sys.exit(run_conversion("fp16-to-fp32"))
