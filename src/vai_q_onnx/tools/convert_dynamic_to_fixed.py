"""`quantforge convert dynamic-to-fixed` under the original's name."""

import sys

from vai_q_onnx.tool_command import run_fix_shapes

if __name__ == "__main__":
    sys.exit(run_fix_shapes())
