// Tracks whether a shell is at its prompt. The shell prints OSC 133 marks (see promptCommand in
// sandbox/agent/node), as for the shell integration of VS Code or iTerm2. They are part of the
// output, so the state is also right after a reload.

/**
 * unknown: no mark was seen yet. prompt: the shell waits for a command. more: it waits for the rest
 * of a command (PS2). running: a command runs, or the prompt is being printed.
 */
export type Place = "unknown" | "prompt" | "more" | "running";

export class Marks {
  place: Place = "unknown";
  /** Number of primary (PS1) and secondary (PS2) prompts so far. */
  prompts = 0;
  more = 0;
  /** Exit status of the last command. */
  status = 0;

  /** Handles the data of an OSC 133 sequence. Returns whether the place changed. */
  hear(data: string): boolean {
    const [kind, detail] = data.split(";");
    switch (kind) {
      case "A":
        this.prompts++;
        this.place = "running"; // until B, the end of the prompt
        break;
      case "B":
        this.place = "prompt";
        break;
      case "C":
        this.place = "running";
        break;
      case "D":
        this.status = Number(detail) || 0;
        this.place = "running";
        break;
      case "P":
        if (detail !== "k=s") return false;
        this.more++;
        this.place = "more";
        break;
      default:
        return false;
    }
    return true;
  }

  forget(): void {
    this.place = "unknown";
  }
}

/**
 * What would receive a command that is typed now. free: the shell at an empty prompt. typed: the
 * shell, but the line is not empty. more: the shell at a secondary prompt. full: a full-screen
 * program. shell: another shell without marks, such as a container's. program: any other program.
 */
export type Front = "free" | "typed" | "more" | "full" | "shell" | "program";

/** Decides from the marks and the screen. line is the text before the cursor. */
export function frontOf(place: Place, fullScreen: boolean, atPromptsEnd: boolean, line: string): Front {
  if (fullScreen) return "full";
  switch (place) {
    case "prompt":
      return atPromptsEnd ? "free" : "typed";
    case "more":
      return "more";
    case "running":
      return /[#$%] $/.test(line) ? "shell" : "program";
    default:
      return "free";
  }
}

/** Reports whether to ask the learner before typing the text. */
export function mustAsk(front: Front, text: string): boolean {
  // A block may be meant for a container's shell, but `docker` commands never are.
  if (front === "shell") return /^\s*docker\s/m.test(text);
  return front !== "free";
}
