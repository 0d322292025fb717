// Package lab reads labs: one Markdown file each, with a check on every step.
//
//	labs/first-container/lab.md       the lab, in English
//	labs/first-container/lab.zh.md    its text in another language (optional, one file per language)
//	labs/first-container/files/...    files put into the learner's home directory, /root (optional)
//	labs/first-container/_...         files and folders that are there only for the texts to show or include (optional)
//
// The directory's name is the lab's id. Load reads all labs of a directory and reports every mistake of every file at
// once, each with its place, the line and what to do.
//
// # Front matter
//
// lab.md begins with TOML between two lines of three plus signs:
//
//	+++
//	title = "First containers"
//	summary = "Run, publish, enter, restart and remove containers."
//	level = "beginner"                  # beginner, intermediate or advanced
//	minutes = 20
//	prerequisites = []                  # ids of labs
//
//	[stack]
//	images = ["redis:8", "debian"]      # what every node's engine has; without a tag: latest
//	nodes = ["node1"]                   # this is the default; the first is where scripts and probes go
//	internet = false
//	isolation = "full"                  # only if the lab needs what gVisor lacks
//
//	[stack.limits]                      # of each node; what is left out is the server's default
//	memory = "768MiB"
//	disk = "2GiB"
//	cpus = 1.5
//	pids = 512
//
//	[variables]
//	code = 6                            # {{code}}: 6 random characters, made anew for each session
//	+++
//
// Unknown keys are mistakes, as everywhere in this format.
//
// # Steps
//
// What follows is CommonMark. Text before the first heading introduces the lab. Each step begins with a heading of level
// two that ends in its anchor, which names the step in URLs and in the learner's progress:
//
//	## Run your first container {#hello}
//
// A step is prose, plus fenced blocks. Those that are shown can carry the attributes of internal/fence, as in lessons:
//
//	```bash {run}                       a click types it into the terminal
//	```bash {run=node2}                 into a terminal of that node
//	```yaml {save="compose.yml"}        a click writes it to that file of the home directory
//	```yaml {title="compose.yml" 2-3}   only shown: with a title, and lines two and three marked
//
// A block is either run or saved. As in lessons (see site/internal/markdown), a block that is neither can show a file, or a region
// of it, and :::include takes in another text; both find what is in files/ and what begins with _, and nothing outside of the
// lab's directory:
//
//	```yaml {file="files/compose.yml" region="web"}
//	:::include _cleaning-up.md          prose with headings from ### on; no steps, checks or scripts
//
// These blocks are not part of the prose. They stand at the left margin, outside lists:
//
//	```hint                             Markdown, shown when the learner asks; in order
//	```check                            TOML: what must be true for the step to be done; exactly one per step
//	```setup                            a script run before the step opens
//	```solution                         a script that does the step, for `labd lab test`; never sent to a learner
//	```wrong {#id}                      a script that brings about the wrong state of that id, for `labd lab test`
//	```undo {#id}                       a script that takes it back
//
// Scripts run with bash -eu in the home directory of the first node, or of the one named by {node=node2}. {{name}} is
// replaced by the variable's value in prose, hints, checks and scripts; shells and scripts also have it as $LAB_NAME. Words that stand alone in
// the templates of `docker --format` (end, else, break, continue) are left alone.
//
// # Checks
//
// A check is a list of probes, tables of the kinds below. The step is done when all of them hold. Known wrong states
// come first; the first one whose probes all hold is shown with its hint, and the step is not done:
//
//	[[wrong]]
//	id = "foreground"
//	hint = "The container ended when you pressed Ctrl-C. Start it with `-d`."
//	[[wrong.container]]
//	name = "cache"
//	status = "exited"
//
//	[[container]]
//	name = "cache"
//	running = true
//	image = "redis:8"
//	publishes = "6379:6379"
//	hint = "Look at `docker ps -a`."
//
// Every probe may have hint, id (names the hint for translations; the default is the kind and its number in the step, as
// "container-1"), node, and timeout ("3s", at most 10s). A probe never changes the learner's state.
//
//	[[container]]   at least one container has everything that is given:
//	                name; image (tag optional); label ("key" or "key=value", or a list); except (names that don't count);
//	                running; restarted (it ended and was started again); status; exit_code; publishes ("8080:80", a side may be "*"); not_publishes;
//	                error (part of the engine's message); env ("KEY=value"); network;
//	                remember ("x": keep its id and times once the step is done); and in later steps same_as, not_same_as,
//	                restarted_since ("x").
//	                exists = false: no container has all that. count = 3: exactly so many have.
//	[[image]]       name (tag optional), exists
//	[[network]]     name, exists
//	[[event]]       the engine remembers it: action ("destroy"), container, image
//	[[http]]        url ("http://..."), method (GET or HEAD), status, contains, not_contains, matches (regular expression).
//	                Redirects are not followed.
//	[[tcp]]         address ("localhost:6379"), send, expect; or refused = true
//	[[file]]        path, container (without: in the node), exists, equals (white space around is ignored), contains
//	[[shell]]       script: exit 0 holds, what it prints is what was seen. It is slow: 100 ms and more
//
// # Translations
//
// lab.<lang>.md carries text only. Its front matter has title and summary; its steps have the same anchors in the same
// order, the same number of hints, and the same {run} and {save} blocks (comments in them, their titles and what is marked
// may differ). The hints inside the check are translated in one more block per step:
//
//	```messages
//	foreground = "按 Ctrl-C 时容器也结束了。请加上 `-d`。"
//	container-1 = "看看 `docker ps -a` 的输出。"
//	```
//
// keyed by the ids of wrong states and probes. Every hint must be translated.
package lab
