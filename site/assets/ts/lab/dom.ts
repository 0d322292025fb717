// Typed DOM helpers. Strings always become text nodes, never HTML.

import { spans } from "./text.js";

type Child = Node | string | false | undefined;

/** Creates an element. Attributes whose names begin with "on" are event listeners. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean | undefined | ((event: Event) => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") el.addEventListener(name.slice(2), value);
    else if (value === true) el.setAttribute(name, "");
    else if (typeof value === "string") el.setAttribute(name, value);
  }
  put(el, ...children);
  return el;
}

/** Replaces an element's children. */
export function put(el: Element, ...children: Child[]): void {
  el.replaceChildren(...children.filter((c): c is Node | string => c !== false && c !== undefined));
}

/** Converts text with `code` spans into nodes. */
export function rich(text: string): DocumentFragment {
  const out = document.createDocumentFragment();
  for (const span of spans(text)) {
    out.append(span.code ? h("code", {}, span.text) : span.text);
  }
  return out;
}

const svg = "http://www.w3.org/2000/svg";

const paths = {
  play: "M5 3.5v9l7.5-4.5z",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5l3.2 3.2L13 5",
  down: "M4 6l4 4 4-4",
  up: "M4 10l4-4 4 4",
  lock: "M5 7.5V5.5a3 3 0 0 1 6 0v2M4 7.5h8v5.5H4z",
  clock: "M8 4.5V8l2.3 1.5M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  widen: "M6 4L2 8l4 4M10 4l4 4-4 4M2 8h12",
  terminal: "M2.5 3.5h11v9h-11zM5 6.5l1.7 1.6L5 9.7M8.5 10h2.5",
  right: "M6 4l4 4-4 4",
  save: "M8 2.5v7M5 7l3 3 3-3M3 12.5h10",
} as const;

/** Creates an icon. It is hidden from screen readers, so its button needs a label. */
export function icon(name: keyof typeof paths): SVGSVGElement {
  const el = document.createElementNS(svg, "svg");
  el.setAttribute("viewBox", "0 0 16 16");
  el.setAttribute("class", `lab-icon lab-icon-${name}`);
  el.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg, "path");
  path.setAttribute("d", paths[name]);
  el.append(path);
  return el;
}
