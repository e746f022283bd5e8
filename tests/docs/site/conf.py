# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx' settings for the site that tests/docs/build.py puts together. Nothing is fetched: other projects' pages are linked, not read."""

from __future__ import annotations

import re
import typing as t

from docutils import nodes

project = "k8s_cluster.manager"
copyright = "k8s_cluster.manager contributors"  # noqa: A001 (Sphinx' own name)
html_title = project

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# Links into a page name its headings, as on a forge.
myst_heading_anchors = 3

# The theme of docs.ansible.com: the pages that antsibull-docs makes are written for it, and it loads nothing from elsewhere.
html_theme = "sphinx_ansible_theme"
html_theme_options = {"vcs_pageview_mode": "", "display_version": False, "show_extranav": False, "show_rtd_ethical_ads": False}
html_show_sphinx = False
html_copy_source = False
pygments_style = "ansible"
highlight_language = "none"

ANSIBLE = "https://docs.ansible.com/ansible/latest/"
# What antsibull-docs links to in Ansible's own documentation.
LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}


def ansibles_page(label: str) -> str:
    """Where Ansible's documentation has a label of Ansible or of another collection; empty if it is neither."""
    found = re.fullmatch(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)", label)
    if found and found.group(1, 2) != ("k8s_cluster", "manager"):
        return "{}collections/{}/{}/{}.html".format(ANSIBLE, *found.groups())
    return ANSIBLE + LABELS[label] if label in LABELS else ""


def refer(_app: object, _env: object, node: t.Any, content: nodes.Node) -> nodes.reference | None:
    """A link to Ansible's documentation for a reference that is not of this site."""
    page = ansibles_page(node.get("reftarget", ""))
    return nodes.reference("", "", content, refuri=page, internal=False) if page else None


def setup(app: t.Any) -> None:
    """Sphinx calls this."""
    app.connect("missing-reference", refer)
