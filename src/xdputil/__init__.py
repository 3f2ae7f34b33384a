"""The command `xdputil` of Vitis AI on the software DPU: look into xmodels, run them, compare what they compute."""
