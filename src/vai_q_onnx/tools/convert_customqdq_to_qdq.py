"""`quantforge convert customqdq-to-qdq` under the original's name."""

import sys

from vai_q_onnx.tool_command import run_conversion

if __name__ == "__main__":
    sys.exit(run_conversion("customqdq-to-qdq"))
