// Shows the meaning of glossary terms while their link is hovered or focused.

import css from "../css/term.css" with { type: "text" };

/** The glossary is fetched once, for the first term. */
let glossary: Promise<Document> | undefined;

async function meaning(link: HTMLAnchorElement): Promise<string> {
  glossary ??= fetch(link.pathname).then(async (r) => {
    if (!r.ok) throw new Error("no glossary");
    return new DOMParser().parseFromString(await r.text(), "text/html");
  });
  const term = (await glossary).getElementById(decodeURIComponent(link.hash.slice(1)));
  const dd = term?.nextElementSibling;
  return dd?.tagName === "DD" ? (dd.textContent ?? "").trim() : "";
}

export function terms(): void {
  const style = new CSSStyleSheet();
  style.replaceSync(css);
  document.adoptedStyleSheets.push(style);
  const tip = document.createElement("span");
  tip.id = "term-meaning";
  tip.className = "term";
  tip.setAttribute("role", "tooltip");
  let wanted: HTMLAnchorElement | undefined;
  let leaving = 0;
  const hide = (): void => {
    wanted?.removeAttribute("aria-describedby");
    wanted = undefined;
    tip.remove();
  };
  const show = async (link: HTMLAnchorElement): Promise<void> => {
    clearTimeout(leaving);
    if (wanted === link) return;
    hide();
    wanted = link;
    const text = await meaning(link);
    if (wanted !== link || !text) return;
    tip.textContent = text;
    link.setAttribute("aria-describedby", tip.id);
    (link.closest("main") ?? document.body).append(tip);
    const at = link.getClientRects()[0] ?? link.getBoundingClientRect();
    const above = at.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 8)) + scrollX}px`;
    tip.style.top = `${(above > 70 ? above : at.bottom + 8) + scrollY}px`;
  };
  // Wait before hiding, so that the pointer can move from the term to its meaning.
  const leave = (): void => {
    clearTimeout(leaving);
    leaving = window.setTimeout(hide, 200);
  };
  tip.addEventListener("pointerenter", () => clearTimeout(leaving));
  tip.addEventListener("pointerleave", leave);
  for (const link of document.querySelectorAll<HTMLAnchorElement>('.prose a[href*="/glossary/#"]')) {
    if (link.pathname === location.pathname) continue;
    const open = (): void => void show(link).catch(() => (glossary = undefined));
    link.addEventListener("pointerenter", open);
    link.addEventListener("focus", open);
    link.addEventListener("pointerleave", leave);
    link.addEventListener("blur", leave);
    if (link.matches(":hover, :focus")) open(); // it was before this script
  }
  document.addEventListener("keydown", (e) => e.key === "Escape" && hide());
}
