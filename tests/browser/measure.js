// Copyright (c) 2026, k8s_cluster.manager contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a page looks like: the places of the drawing's boxes and texts, and the colours of every text and of what is behind it.
() => {
  const place = (element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { left, top, right, bottom };
  };
  const boxes = [...document.querySelectorAll("svg g")].map((group) => ({
    kind: group.classList[0],
    box: place(group.querySelector(".box")),
    texts: [...group.querySelectorAll("text")].map((text) => ({ text: text.textContent, ...place(text) })),
  }));
  const lanes = [...document.querySelectorAll("svg .lane")].map((lane) => place(lane));
  const heads = [...document.querySelectorAll("svg .head")].map((head) => place(head));
  const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const opaque = (colour) => colour && colour !== "none" && (parse(colour).length < 4 || parse(colour)[3] > 0);
  const behind = (element) => {
    const box = element.closest("svg g")?.querySelector(".box") ?? (element.closest("svg") && document.querySelector("svg .lane"));
    if (box && element.closest("svg")) return getComputedStyle(box).fill;
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (opaque(colour)) return colour;
    }
    return null;
  };
  const shown = [...document.querySelectorAll("body *")].filter((element) =>
    element.tagName !== "title" && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const colours = shown.map((element) => {
    const style = getComputedStyle(element);
    return [parse(element.closest("svg") ? style.fill : style.color).slice(0, 3), parse(behind(element) ?? "").slice(0, 3), element.textContent.slice(0, 40)];
  });
  const overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return { boxes, lanes, heads, colours, overflow, text: document.body.innerText + [...document.querySelectorAll("svg text")].map((one) => one.textContent).join("\n") };
}
