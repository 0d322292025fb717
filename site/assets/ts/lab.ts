// Entry point of the lab pane. It is loaded only on pages with a lab. The HTML is complete without
// it.
//
// HTML that sitegen writes:
//
//   <body data-lang="en">
//   <main data-lab="first-container" data-lab-title="First containers">   a lab page; on a lesson <aside data-lab=…
//                                      data-lab-url="/labs/first-container/">, whose steps stand on that other page
//   <div data-lab-launch></div>        where the Start card goes; lab.css reserves its height. If it is missing the card
//                                      goes below the h1 of main, or into the aside
//   <section data-step="ANCHOR" id="ANCHOR"> with a heading,
//       <details data-hint> …, and <div data-step-status aria-live="polite"></div>
//   <div class="code" data-run data-node="node1" data-block="ID"><pre><code>…</code></pre><button data-copy>…</button></div>
//   <div class="code" data-save="compose.yml" data-block="ID">…
//   <span data-var="code">code</span>  replaced by the session's value
//   <div id="lab-pane" hidden></div>   becomes the pane
//
// The pane sets for the page's CSS: html.lab-open while a lab is shown (with --lab-width and
// --lab-height), html.lab-folded while the pane is hidden, html.lab-wide while the terminal covers
// the text, html.lab-keyboard above an on-screen keyboard, and
// section[data-step][data-state="open|done|locked"]. It follows html[data-theme="light|dark"],
// otherwise prefers-color-scheme.

import { Api } from "./lab/api.js";
import { CodeBlocks } from "./lab/code.js";
import { h } from "./lab/dom.js";
import { translator } from "./lab/i18n.js";
import { Launch } from "./lab/launch.js";
import { Pane } from "./lab/pane.js";
import { SessionStore } from "./lab/session.js";
import { forget, recall, remember, tabbed } from "./lab/storage.js";

function boot(): void {
  const root = document.querySelector<HTMLElement>("[data-lab]");
  const lab = root?.dataset["lab"];
  if (!root || !lab) return;
  const lang = document.body.dataset["lang"] ?? "en";
  const t = translator(lang);
  const store = new SessionStore(new Api(), lab, lang);

  let place = document.getElementById("lab-pane");
  if (!place) document.body.append((place = h("div", { id: "lab-pane", hidden: true })));
  const pane = new Pane(place, root, store, t);

  let card = document.querySelector<HTMLElement>("[data-lab-launch]");
  if (!card) {
    card = h("div", { "data-lab-launch": true });
    const title = root.querySelector("h1");
    if (title) title.after(card);
    else root.append(card);
  }
  const launch = new Launch(card, store, pane, t, root.dataset["labTitle"] ?? "");

  const code = new CodeBlocks(t, {
    ready: () => store.model.phase === "live",
    run: async (node, id, text) => {
      pane.layout.show();
      await pane.engineReady();
      await pane.terminals.run(node, id, text);
    },
    save: async (node, id, path, content) => {
      pane.layout.show();
      await pane.terminals.save(node, id, path, content);
    },
    offerStart: () => launch.offer(),
  });

  // After a reload, open the pane before the server has answered, so that the text moves only once.
  const remembered = `labd.live.${lab}`;
  store.onChange((model) => {
    if (model.phase === "looking") return;
    if (model.phase !== "offline" && model.phase !== "off") code.arm();
    code.update(model.session?.variables ?? undefined);
    if (model.phase === "live") remember(tabbed, remembered, "yes");
    else forget(tabbed, remembered);
  });
  if (recall(tabbed, remembered) === "yes") pane.begin(false);
  void store.look();
}

boot();
