from __future__ import annotations

import pytest

from tests.models.samples import Samples, cifar_samples


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return cifar_samples(tmp_path_factory.getbasetemp())
