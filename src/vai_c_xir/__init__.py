"""The compiler command `vai_c_xir` of Vitis AI by its arguments, answered by quantforge."""
