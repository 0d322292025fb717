// Quizzes: checks answers, explains them and stores which were solved. The HTML is documented in
// package markdown.

/** The stored answers by quiz id. An import would split the script that every page loads. */
interface Memory {
  answered(id: string): number | undefined;
  answer(id: string, right: boolean): void;
}

export function quizzes({ answer, answered }: Memory): void {
  for (const quiz of document.querySelectorAll<HTMLFieldSetElement>("fieldset.quiz")) {
    const button = quiz.querySelector<HTMLButtonElement>("[data-quiz-check]");
    const result = quiz.querySelector<HTMLElement>(".quiz-result");
    if (!button || !result) continue;
    const answers = [...quiz.querySelectorAll<HTMLLIElement>(".quiz-answers > li")];
    const reasons = quiz.querySelectorAll<HTMLLIElement>(".quiz-solution > ol > li");
    const input = (li: HTMLLIElement): HTMLInputElement | null => li.querySelector("input");
    const isRight = (li: HTMLLIElement): boolean => li.dataset["answer"] === "right";
    // A live region must exist before its text changes, or screen readers stay silent.
    const why = document.createElement("ol");
    why.type = "A";
    why.className = "quiz-why";
    why.setAttribute("aria-live", "polite");
    button.parentElement?.after(why);

    const clear = (): void => {
      answers.forEach((li) => delete li.dataset["state"]);
      delete quiz.dataset["state"];
      result.textContent = "";
      why.replaceChildren();
    };
    const check = (): void => {
      const chosen = answers.filter((li) => input(li)?.checked);
      clear();
      if (chosen.length === 0) return input(answers[0] as HTMLLIElement)?.focus();
      const right = answers.every((li) => !!input(li)?.checked === isRight(li));
      for (const li of chosen) {
        li.dataset["state"] = li.dataset["answer"] ?? "";
        const n = answers.indexOf(li);
        const reason = reasons[n]?.cloneNode(true) as HTMLLIElement | undefined;
        if (!reason) continue;
        reason.value = n + 1;
        why.append(reason);
      }
      quiz.dataset["state"] = right ? "right" : "wrong";
      result.textContent = quiz.dataset[right ? "passed" : "failed"] ?? "";
      if (right || answered(quiz.id) === undefined) answer(quiz.id, right);
    };
    button.addEventListener("click", check);
    quiz.addEventListener("change", clear);
    quiz.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && e.target instanceof HTMLInputElement) check();
    });
    button.hidden = false;
    if (answered(quiz.id) === 1) {
      for (const li of answers) {
        const box = input(li);
        if (box) box.checked = isRight(li);
      }
      check();
    }
  }
}
