# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node configs as users write them, right and wrong."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _node_config

GOOD: dict[str, t.Any] = {"image_id": "ami-1", "instance_type": "m5.large", "subnet_id": "subnet-1", "domain": "example.com", "block_device_gb": "100"}


def test_every_key_is_there_and_typed() -> None:
    config, problems = _node_config.parse({**GOOD, "associate_public_ip": "yes", "tags": {"Team": 7}})
    assert problems == []
    assert set(config) == set(_node_config.KEYS)
    assert config["block_device_gb"] == 100
    assert config["subnet_id"] == ["subnet-1"]
    assert config["associate_public_ip"] is True
    assert config["tags"] == {"Team": "7"}
    assert config["placement_group_name"] is None


@pytest.mark.parametrize("text", [json.dumps(GOOD), "\n".join(f"{key}: {value}" for key, value in GOOD.items())])
def test_json_and_yaml_text_mean_the_same(text: str) -> None:
    assert _node_config.parse(text) == _node_config.parse(GOOD)


def test_several_subnets_come_as_list_or_text() -> None:
    wanted = ["subnet-1", "subnet-2"]
    assert _node_config.parse({**GOOD, "subnet_id": wanted})[0]["subnet_id"] == wanted
    assert _node_config.parse({**GOOD, "subnet_id": "subnet-1, subnet-2"})[0]["subnet_id"] == wanted


def test_all_problems_are_named_together() -> None:
    _config, problems = _node_config.parse(
        {"image_id": "", "instance_type": ["x"], "subnet_id": "s", "domian": "d", "block_device_gb": "big", "associate_public_ip": "maybe"}
    )
    assert [problem.split(":")[1].strip() for problem in problems] == [
        "unknown key 'domian'; known are image_id, instance_type, subnet_id, domain, block_device_gb, block_device_name, block_device_type, "
        "placement_group_name, tags, iam_instance_profile, kms_key_id, associate_public_ip",
        "image_id is missing",
        "instance_type",
        "domain is missing",
        "block_device_gb",
        "associate_public_ip",
    ]


@pytest.mark.parametrize(
    ("source", "problem"), [("- a", "a mapping is wanted"), ("a: [", "not YAML or JSON at line 1"), ({**GOOD, "block_device_gb": 0}, "0 is not a size in GiB")]
)
def test_what_is_no_node_config_says_so(source: t.Any, problem: str) -> None:
    assert problem in _node_config.parse(source)[1][0]
