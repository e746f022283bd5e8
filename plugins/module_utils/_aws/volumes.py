# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What EBS volumes may be, and what a price includes; it imports nothing, so that filters may have it, too."""

from __future__ import annotations

# Per type: (smallest, largest size in GiB, IOPS per GiB, smallest, largest IOPS); 0 = cannot be chosen
VOLUME_TYPES = {
    "gp2": (1, 16384, 0, 0, 0),
    "gp3": (1, 65536, 500, 3000, 80000),
    "io1": (4, 16384, 50, 100, 64000),
    "io2": (4, 65536, 1000, 100, 256000),
    "standard": (1, 1024, 0, 0, 0),
}
# What of a gp3 volume is included in its size's price.
GP3_IOPS, GP3_THROUGHPUT = 3000, 125
