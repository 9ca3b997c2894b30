"""Somebody who applies in the demo city, and whoever answers them, on both databases."""

from __future__ import annotations

import pytest

from issuer.application import Application
from tests.issuer.apply.applicant import Applicant, Other


@pytest.fixture
def applicant(application: Application) -> Applicant:
    return Applicant(application)


@pytest.fixture
def other(application: Application) -> Other:
    return Other(application)
