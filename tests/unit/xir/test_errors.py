from __future__ import annotations

from xir.errors import refused


def test_an_error_names_the_id_of_xir() -> None:
    error = refused("Q0921", "XIR_UNDEFINED_OP", "g", "an operator", "another", "look")
    assert error.diagnostic.code == "Q0921" and error.diagnostic.found == "XIR_UNDEFINED_OP: an operator"
