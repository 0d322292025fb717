// On pages that list lessons: shows how many are done, and a link to the lesson that was read last.

/** Where the reader stopped in a course. */
export interface Place {
  page: string;
  course: string;
  title: string;
  section: string;
  heading: string;
}

/**
 * The functions needed from progress.ts. An import would split the script that every page loads.
 */
interface Kept {
  home: string;
  course: string;
  lessonLinks: string;
  idOf(a: HTMLAnchorElement): string;
  read(): { last: Place[] };
}

/** Shows both. Returns a function that updates the numbers. */
export function overview({ home, course, lessonLinks, idOf, read }: Kept): () => void {
  const count = (): void => {
    for (const p of document.querySelectorAll<HTMLElement>("[data-progress]")) {
      const links = [...(p.closest("[data-scope]")?.querySelectorAll<HTMLAnchorElement>(lessonLinks) ?? [])];
      const n = links.filter((a) => a.classList.contains("is-done")).length;
      const bar = p.querySelector("progress");
      const text = p.querySelector("span");
      if (!bar || !text) continue;
      bar.max = links.length || 1;
      bar.value = n;
      text.textContent = [n, links.length].reduce<string>((t, v) => t.replace("%d", String(v)), p.dataset["text"] ?? "");
      p.classList.toggle("is-shown", n > 0);
    }
  };
  const resume = (): void => {
    const p = document.querySelector<HTMLElement>("[data-resume]");
    if (!p) return;
    // The home page covers all courses, the page of another course only that course.
    const place = read().last.find((l) => !course || l.course === course);
    if (!place) return;
    const a = document.createElement("a");
    a.href = home + place.page + (place.section && `#${encodeURIComponent(place.section)}`);
    // The page's text is in its language.
    const here = [...document.querySelectorAll<HTMLAnchorElement>(lessonLinks)].find((l) => idOf(l) === place.page);
    const title = here?.querySelector("strong, span")?.textContent ?? place.title;
    a.textContent = title + (place.heading && (!here || title === place.title) ? ` › ${place.heading}` : "");
    p.replaceChildren(`${p.dataset["resume"]} `, a);
    p.classList.add("is-shown");
  };
  resume();
  count();
  addEventListener("pageshow", (e) => e.persisted && resume());
  return count;
}
