// The search dialog. It is loaded when the search is opened.

import css from "../../css/search.css" with { type: "text" };
import { type Panel, panel } from "./panel.js";
import { wordsOf } from "./words.js";

/** Creates the dialog. Returns a function that opens it. */
export function dialog(base: string, lang: string | undefined): () => void {
  const words = wordsOf(lang);
  // The style sheets of pages do not contain the dialog's styles.
  const style = new CSSStyleSheet();
  style.replaceSync(css);
  document.adoptedStyleSheets.push(style);
  const box = document.createElement("dialog");
  box.className = "finder";
  box.setAttribute("aria-label", words.label);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "finder-close";
  close.textContent = words.close;
  close.addEventListener("click", () => box.close());
  const keys = document.createElement("p");
  keys.className = "finder-keys";
  keys.textContent = words.keys;
  const p: Panel = panel(box, base, words);
  p.input.after(close);
  box.append(keys);
  box.addEventListener("click", (e) => {
    // A click beside the box, or on a result: a result on this page only scrolls.
    const link = (e.target as Element).closest("a");
    if (e.target === box || (link && !e.ctrlKey && !e.metaKey && !e.shiftKey)) box.close();
  });
  document.body.append(box);
  return () => {
    if (!box.open) box.showModal();
    p.input.focus();
    p.input.select();
  };
}
