// The search page. The query is in its URL.

import { panel } from "./search/panel.js";
import { wordsOf } from "./search/words.js";

const root = document.querySelector<HTMLElement>("[data-search]");
if (root) {
  const { input, run } = panel(root, root.dataset["search"] ?? "", wordsOf(document.body.dataset["lang"]), (query) => {
    const address = new URL(location.href);
    if (query) address.searchParams.set("q", query);
    else address.searchParams.delete("q");
    if (address.href !== location.href) history.replaceState(null, "", address);
  });
  input.value = new URL(location.href).searchParams.get("q") ?? "";
  input.focus();
  run();
}
