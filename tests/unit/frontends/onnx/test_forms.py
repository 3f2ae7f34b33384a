"""Forms as data."""

from quantforge.frontends.onnx.forms import Form


def test_forms_are_called_by_their_text() -> None:
    assert [Form(str(form)) for form in Form] == list(Form)
    assert str(Form.FIX_NEURON) == "fix-neuron"
