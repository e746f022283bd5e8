# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy and Automation Hub say when the tarball is uploaded.

galaxy-importer is what both run. All it has to object to are errors and warnings: metadata, checksums, READMEs, changelog, docs of every plugin,
ansible-lint's production profile, files that switch sanity tests off. Its sanity run wants a container; `make lint` has it without.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .conftest import BIN, run


def test_nothing_to_object_to(tarball: Path, tmp_path: Path) -> None:
    settings = {"CHECK_REQUIRED_TAGS": "true", "CHECK_CHANGELOG": "true", "REQUIRE_V1_OR_GREATER": str("-rc." not in tarball.name)}
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **{f"GALAXY_IMPORTER_{name}": value for name, value in settings.items()}}
    said = run("python", "-m", "galaxy_importer.main", str(tarball), cwd=tmp_path, env=environment)
    assert "Importer processing completed successfully" in said
    assert re.findall(r"^(?:WARNING|ERROR|CRITICAL): .*", said, re.MULTILINE) == []
    # It looked at what there is.
    for found in ("Loading module ec2_node", "Loading role create_node", "Loading playbook create_node", "ansible-lint run complete"):
        assert found in said
