"""The other side of a comparison: the pipeline of diffusers over the same weights, and OpenVINO over the same U-Net.

May import worker, diffusers and, where it is installed, openvino.
"""
