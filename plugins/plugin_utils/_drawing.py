# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Where everything stands in the drawing of a cluster: load balancers on the left, their target groups, and the nodes behind these in a grid.

Lengths are in pixels. Boxes are {"x", "y", "width", "height", "lines": [{"text", "y", "style"}], "state", "level", "title"}; state is
the line, from 1, that says how it is.
"""

from __future__ import annotations

import typing as t

from ._description import TITLES, Record, explained, worst
from ._description_text import cells

WIDTH = 1240
GAP, COLUMN_GAP, BLOCK_GAP = 8, 44, 26
PADDING, HEADER = 12, 34
# Above this many nodes each is drawn with what matters most only.
MANY = 40
# Longer names than Kubernetes allows are elided; the tables have them in full.
LONGEST_NAME = 63
# Width of a character, and height of a line, by the styles of the page's template.
ADVANCE = {"name": 7.4, "small": 6.3}
LINE = {"name": 17, "small": 15}
# Levels of what is to be said of a node in its box.
WRONG = ("warn", "bad")
# The kind of target groups that stands beside each role's nodes.
LANES = (("controlplane", "apiserver", "Control planes"), ("worker", "ingress", "Workers"), ("", "none", "Others"))


def drawing(described: Record) -> dict[str, t.Any]:
    """{"width", "height", "balancers", "groups", "lanes": [box with "nodes"], "edges": [{"path", "level"}], "many": whether nodes are drawn small}."""
    balancers = {one["name"]: _balancer_box(one) for one in described["load_balancers"]}
    groups = {one["name"]: _group_box(one) for one in described["target_groups"]}
    for boxes in (balancers, groups):
        _same_width(list(boxes.values()))
    left = sum(boxes[next(iter(boxes))]["width"] + COLUMN_GAP for boxes in (balancers, groups) if boxes)
    lanes = _lanes(described, left)
    height = _place(described, balancers, groups, lanes)
    return {
        "width": max([WIDTH, *(lane["x"] + lane["width"] for lane in lanes.values())]),
        "height": height,
        "balancers": list(balancers.values()),
        "groups": list(groups.values()),
        "lanes": list(lanes.values()),
        "edges": _edges(described, balancers, groups, lanes),
        "many": len(described["nodes"]) > MANY,
    }


def _box(level: str, title: str, lines: t.Sequence[tuple[str, str]], state: int) -> Record:
    """A box that its lines, (style, text), fit into; where it stands is settled later."""
    found, y = [], PADDING - 2
    for style, text in lines:
        y += LINE[style]
        found.append({"style": style, "text": text, "y": y - 4})
    width = int(max(cells(text) * ADVANCE[style] for style, text in lines)) + 2 * PADDING + 6
    return {"x": 0, "y": 0, "width": width, "height": y + PADDING - 2, "lines": found, "state": state, "level": level, "title": title}


def _same_width(boxes: t.Sequence[Record]) -> None:
    for box in boxes:
        box["width"] = max(other["width"] for other in boxes)


def _balancer_box(balancer: Record) -> Record:
    health = balancer["health"]
    lines = [("name", balancer["name"]), ("small", f"{balancer['scheme']} {balancer['type']}"), ("small", health["words"])]
    return _box(health["level"], f"{balancer['dns_name']} {explained(health)}", lines, 3)


def _group_box(group: Record) -> Record:
    health = group["health"]
    lines = [("name", group["name"]), ("small", f"{group['protocol']} {group['port'] or ''} {group['kind']}"), ("small", health["words"])]
    return _box(health["level"], explained(health), lines, 3)


def _node_box(number: int, node: Record, many: bool) -> Record:
    name = node["name"] if len(node["name"]) <= LONGEST_NAME else node["name"][: LONGEST_NAME - 1] + "…"
    where = [text for text in (node["type"], node["zone"]) if text]
    lines = [("name", name), ("small", " · ".join(_state(node, many)))]
    if not many:
        member = [f"etcd {node['etcd']['words']}"] if node["etcd"]["level"] != "none" else []
        lines += [("small", " · ".join(where) or "-"), ("small", " · ".join([node["address"] or "-", *member]))]
    title = "; ".join(f"{title} {explained(node[key])}" for key, title in TITLES.items() if node[key]["level"] != "none")
    return {**_box(node["health"]["level"], f"{node['name']}: {title}", lines, 2), "number": number, "name": node["name"]}


def _state(node: Record, many: bool) -> list[str]:
    """How a node is: whether it is Ready, how many of its targets are healthy, and all that is wrong; of many nodes the first of that only."""
    state = node["machine"] if node["machine"]["level"] in WRONG else node["ready"]
    behind = node["behind"]["words"].removesuffix(" healthy") if many else node["behind"]["words"]
    wrong = [f"{TITLES[key]} {node[key]['words']}" for key in ("etcd", "dns") if node[key]["level"] in WRONG]
    wrong += [node["config"]["words"]] if node["config"]["level"] in WRONG else []
    if not many:
        return [state["words"], behind, *wrong]
    wrong = [behind, *wrong] if node["behind"]["level"] in WRONG else wrong or [behind]
    return [state["words"], wrong[0], *([f"+{len(wrong) - 1}"] if wrong[1:] else [])]


def lane_of(node: Record) -> str:
    """The role of those that a node is drawn among."""
    return node["role"] if any(node["role"] == role for role, _kind, _title in LANES) else ""


def _lanes(described: Record, left: int) -> dict[str, Record]:
    """The nodes of each role in a grid, as many beside each other as there is room for."""
    many = len(described["nodes"]) > MANY
    found = {}
    for role, _kind, title in LANES:
        boxes = [_node_box(number, node, many) for number, node in enumerate(described["nodes"]) if lane_of(node) == role]
        if not boxes:
            continue
        _same_width(boxes)
        height, room = max(box["height"] for box in boxes), WIDTH - left - 2 * PADDING
        columns = max(1, (room + GAP) // (boxes[0]["width"] + GAP))
        # Rows that are full fill the lane.
        width = max(boxes[0]["width"], (room + GAP) // columns - GAP) if len(boxes) >= columns else boxes[0]["width"]
        for index, box in enumerate(boxes):
            box["width"] = width
            box["x"] = left + PADDING + index % columns * (width + GAP)
            box["y"] = HEADER + index // columns * (height + GAP)
        rows = -(-len(boxes) // columns)
        well = sum(box["level"] == "ok" for box in boxes)
        found[role] = {
            "x": left,
            "y": 0,
            "width": max(WIDTH - left, 2 * PADDING + width),
            "height": HEADER + rows * (height + GAP) - GAP + PADDING,
            "level": worst(box["level"] for box in boxes),
            "title": f"{title}: {len(boxes)}, {well} well",
            "nodes": boxes,
        }
    return found


def _place(described: Record, balancers: t.Mapping[str, Record], groups: t.Mapping[str, Record], lanes: t.Mapping[str, Record]) -> int:
    """Give every box its place, block by block: a role's nodes, beside them the groups of their kind and the load balancers of these. Returns the height."""
    group_x = (next(iter(balancers.values()))["width"] + COLUMN_GAP) if balancers else 0
    placed: set[str] = set()
    y = 0
    for role, kind, _title in LANES:
        mine = [group for group in described["target_groups"] if group["kind"] == kind]
        bottoms = [_stack([groups[group["name"]] for group in mine], group_x, y)]
        names = [name for group in mine for name in group["load_balancers"]]
        names += [one["name"] for one in described["load_balancers"] if not role and one["name"] not in names]
        fresh = [name for name in dict.fromkeys(names) if name not in placed]
        placed |= set(fresh)
        bottoms.append(_stack([balancers[name] for name in fresh], 0, y))
        if role in lanes:
            lanes[role]["y"] = y
            for box in lanes[role]["nodes"]:
                box["y"] += y
            bottoms.append(y + lanes[role]["height"])
        y = max(bottoms) + BLOCK_GAP if max(bottoms) > y else y
    return max(y - BLOCK_GAP, 1)


def _stack(boxes: t.Sequence[Record], x: int, y: int) -> int:
    """Put boxes under each other; returns where the last one ends."""
    bottom = y
    for box in boxes:
        box["x"], box["y"] = x, y
        bottom = y + box["height"]
        y = bottom + GAP
    return bottom


def _edges(described: Record, balancers: t.Mapping[str, Record], groups: t.Mapping[str, Record], lanes: t.Mapping[str, Record]) -> list[Record]:
    """Lines from load balancers to their groups, and from groups to where the nodes of their targets are."""
    roles = {node["name"]: lane_of(node) for node in described["nodes"]}
    edges = []
    for group in described["target_groups"]:
        box, level = groups[group["name"]], group["health"]["level"]
        edges += [_edge(balancers[name], box, level) for name in group["load_balancers"]]
        for role in sorted({roles[target["node"]] for target in group["targets"] if target["node"] in roles}):
            edges.append(_edge(box, lanes[role], level))
    return edges


def _edge(start: Record, end: Record, level: str) -> Record:
    """A curve from one box's right side to the nearest point of another's left side."""
    x, y = start["x"] + start["width"], start["y"] + start["height"] // 2
    to_x = end["x"]
    to_y = min(max(y, end["y"] + 16), end["y"] + end["height"] - 16)
    bend = (to_x - x) // 2
    return {"path": f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}", "level": level}
