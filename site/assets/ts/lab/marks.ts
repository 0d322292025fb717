// Whether what is typed into a terminal reaches a shell's prompt. The node's shell prints the OSC 133 marks of shell
// integration (see promptCommand in sandbox/agent/node). They are in the output itself, so they are right after a reload too.

/**
 * unknown: no mark was seen. prompt: the shell waits for a command. more: it waits for the rest of a command. running: a command
 * runs, or a prompt is being printed.
 */
export type Place = "unknown" | "prompt" | "more" | "running";

export class Marks {
  place: Place = "unknown";
  /** How many prompts, and questions for the rest of a command, were printed. */
  prompts = 0;
  more = 0;
  /** Exit status of the last command. */
  status = 0;

  /** hear takes the data of an OSC 133 sequence. It returns whether the place has changed. */
  hear(data: string): boolean {
    const [kind, detail] = data.split(";");
    switch (kind) {
      case "A":
        this.prompts++;
        this.place = "running"; // until the prompt is complete
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
 * What would read a command that is typed now. free: the shell, at its prompt. typed: the shell, after text that is on the line
 * already. more: the shell, as the rest of a command. full: a program that fills the screen. shell: another shell, such as
 * a container's. program: something else.
 */
export type Front = "free" | "typed" | "more" | "full" | "shell" | "program";

/** frontOf judges a terminal by its marks and its screen. line is the text before the cursor. */
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

/** mustAsk tells whether a learner is asked before text is typed into what is in front. */
export function mustAsk(front: Front, text: string): boolean {
  // Commands of a lesson may be meant for a container's shell, but those of the engine never are.
  if (front === "shell") return /^\s*docker\s/m.test(text);
  return front !== "free";
}
