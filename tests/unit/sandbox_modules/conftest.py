# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for modules on single services of the sandbox."""

from __future__ import annotations

import typing as t

import pytest

from tests.unit.sandbox.aws_lab import Lab, fresh, laboratory


@pytest.fixture(scope="session")
def aws_laboratory() -> t.Iterator[Lab]:
    """One AWS part for all tests."""
    with laboratory() as lab:
        yield lab


@pytest.fixture
def lab(aws_laboratory: Lab) -> t.Iterator[Lab]:
    """The AWS part as it was set up, with no calls counted yet."""
    with fresh(aws_laboratory) as lab:
        lab.ledger.clear_calls()
        yield lab
