# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of talos_machine_config, and the options it shares with talos_apply_config."""

from __future__ import annotations

import json
import typing as t

from .._errors import InputError
from .._outcome import Outcome
from . import redact
from .render import Info, NodeInput, Rendering, render_nodes
from .yamltext import ConfigError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

CONFIG_OPTIONS: dict[str, t.Any] = {
    "config": {"type": "raw", "required": True, "no_log": True},
    "patch": {"type": "raw", "no_log": True},
    "role": {"type": "str", "required": True, "choices": ["worker", "controlplane"]},
    "talos_version": {"type": "str"},
    "mode": {"type": "str", "choices": ["cloud", "metal"], "default": "cloud"},
}

TAINT_OPTIONS: dict[str, t.Any] = {
    "key": {"type": "str", "required": True, "no_log": False},
    "value": {"type": "str", "default": ""},
    "effect": {"type": "str", "choices": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "default": "NoSchedule"},
}

NODE_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "labels": {"type": "dict", "default": {}},
    "taints": {"type": "list", "elements": "dict", "default": [], "options": TAINT_OPTIONS},
    "patch": {"type": "raw", "no_log": True},
}


# Ansible masks what is no_log everywhere in a result: a text as short as "[]" is no secret but part of many others.
SHORTEST_MASKED = 16


def as_text(value: t.Any, option: str) -> str:
    """A config or patch as text: data becomes JSON. Raises InputError for what is neither text, mapping nor list."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    raise InputError(f"{option}: must be a text, a mapping or a list")


def given(module: AnsibleModule) -> dict[str, t.Any]:
    """The module's options, configs and patches as text, which is what Ansible then masks.

    Of an option given as data it masks each word of it, wherever that stands in a result (true, worker, 10.0.1.151).
    """
    # In older releases of amazon.aws its module is a wrapper around Ansible's.
    masked: set[str] = getattr(module, "_module", module).no_log_values
    for options in (module.params, *module.params["nodes"]):
        for name in ("config", "patch"):
            if options.get(name) is not None:
                text = as_text(options[name], name)
                masked -= {*_words(options[name]), text}
                masked |= {text} if len(text) >= SHORTEST_MASKED else set()
                options[name] = text
    return t.cast("dict[str, t.Any]", module.params)


def _words(value: t.Any) -> t.Iterator[str]:
    """The scalars of data, as Ansible masks them."""
    if isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _words(entry)
    elif value is not None:
        yield str(value)


def node_inputs(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> list[NodeInput]:
    """The nodes option as the renderer takes it. Raises InputError for empty or repeated names."""
    names = [str(node["name"] or "").strip() for node in nodes]
    if not all(names):
        raise InputError("nodes: a node has an empty name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"nodes: named twice: {', '.join(twice)}")
    return [_node_input(name, node) for name, node in zip(names, nodes, strict=True)]


def _node_input(name: str, node: t.Mapping[str, t.Any]) -> NodeInput:
    labels = {str(key): _label(value) for key, value in (node.get("labels") or {}).items()}
    return NodeInput(name, (node.get("hostname") or "").strip(), labels, node.get("taints") or [], as_text(node.get("patch"), f"nodes: patch of {name}"))


def _label(value: t.Any) -> str:
    """A label's value as text: YAML's true and 5 are the words true and 5."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def rendering(options: t.Mapping[str, t.Any]) -> Rendering:
    """Render the module's options. Raises InputError with every problem of config and patch."""
    try:
        return render_nodes(
            as_text(options["config"], "config"),
            as_text(options.get("patch"), "patch"),
            node_inputs(options["nodes"]),
            options["role"],
            options.get("talos_version"),
            options["mode"],
        )
    except ConfigError as error:
        raise InputError(str(error).replace("\n", "; "), problems=str(error).split("\n")) from None


def config_info(info: Info) -> dict[str, str]:
    """What a module returns of a config: nothing secret."""
    return {
        "machine_type": info.machine_type,
        "cluster_name": info.cluster_name,
        "endpoint": redact.scrub(info.endpoint),
        "talos_version": info.talos_version,
        "style": info.style,
        "kubernetes_ca_sha256": info.kubernetes_ca_sha256,
        "talos_ca_sha256": info.talos_ca_sha256,
    }


def work(options: t.Mapping[str, t.Any]) -> Outcome:
    """The whole module: pure, so check mode is no different."""
    rendered = rendering(options)
    outcome = Outcome(
        nodes=[{"name": name, "digest": config.digest, "warnings": config.warnings} for name, config in rendered.nodes.items()],
        failures={name: "; ".join(problems) for name, problems in rendered.errors.items()},
        values={"config_info": config_info(rendered.info)},
        shown_diff=[{"before_header": f"{name} (base)", "after_header": f"{name} (machine config)", **config.diff} for name, config in rendered.nodes.items()],
    )
    outcome.warnings = list(dict.fromkeys(warning for config in rendered.nodes.values() for warning in config.warnings))
    if options.get("return_config"):
        outcome.values["configs"] = {name: config.text for name, config in rendered.nodes.items()}
    return outcome
