"""`pytorch_nndct.utils`: `register_custom_op`."""

from pytorch_nndct.custom_op import register_custom_op

__all__ = ["register_custom_op"]
