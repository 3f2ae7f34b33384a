"""Functions that models write as several operators, recognised as one unit: GELU, layer norm, attention, bias."""
