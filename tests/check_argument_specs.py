# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that each role's argument spec and defaults say the same."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"


def differences(role: Path) -> list[str]:
    """What the files of one role disagree about."""
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    found = [f"{name}: in defaults, not in the argument spec" for name in sorted(set(defaults) - set(options))]
    for name, option in options.items():
        if "default" in option and defaults.get(name) != option["default"]:
            found.append(f"{name}: default {option['default']!r} in the argument spec, {defaults.get(name)!r} in defaults")
    return [f"{role.name}: {text}" for text in found]


def main() -> int:
    """Print every difference."""
    found = [text for role in sorted(ROLES.iterdir()) for text in differences(role)]
    print("\n".join(found) or "argument specs and defaults agree")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
