// Package lab reads labs. A lab is one Markdown file with a check on every step. This comment is
// the specification of the format.
//
//	labs/first-container/lab.md       the lab, in English
//	labs/first-container/lab.zh.md    its text in another language (optional, one file per language)
//	labs/first-container/files/...    files that labd writes into the home directory, /root, of every
//	                                  node (optional)
//	labs/first-container/_...         files and directories that the texts show or include (optional)
//
// The name of the directory is the lab's id. Load reads all labs of a directory. It reports all
// mistakes of all files at once, each with file, line and what to do.
//
// # Front matter
//
// lab.md begins with TOML between two lines of +++:
//
//	+++
//	title = "First containers"
//	summary = "Run, publish, enter, restart and remove containers."
//	level = "beginner"                  # beginner, intermediate or advanced
//	minutes = 20
//	prerequisites = []                  # ids of labs
//
//	[stack]
//	images = ["redis:8", "debian"]      # images that every node has; the default tag is latest
//	nodes = ["node1"]                   # the default; scripts and probes use the first node
//	internet = false
//	isolation = "full"                  # only if the lab needs features that gVisor lacks
//
//	[stack.limits]                      # limits of each node; the defaults are the server's
//	memory = "768MiB"
//	disk = "2GiB"
//	cpus = 1.5
//	pids = 512
//
//	[variables]
//	code = 6                            # {{code}}: 6 random characters, different in each session
//	+++
//
// Unknown keys are mistakes, here and everywhere else in this format. Names of nodes are DNS labels
// of at most 31 characters that begin with a letter.
//
// # Steps
//
// The text below the front matter is CommonMark. Text before the first heading introduces the lab.
// Each step begins with a heading of level two. The heading ends with the step's anchor, which
// identifies the step in URLs and in the learner's progress:
//
//	## Run your first container {#hello}
//
// Headings are written with #. A heading that is underlined with --- or === is a mistake, because
// it is usually a missing empty line.
//
// A step consists of prose and fenced code blocks. Blocks that learners see can have the attributes
// described in internal/fence, as in lessons:
//
//	```bash {run}                       a click types it into the terminal
//	```bash {run=node2}                 a click types it into a terminal of that node
//	```yaml {save="compose.yml"}        a click writes it to that file in the home directory
//	```yaml {title="compose.yml" 2-3}   shown only: with a title, and with lines 2 and 3 marked
//
// A block has either run or save. As in lessons (see site/internal/markdown), a block with neither
// can show a file or a region of a file, and :::include includes another text. Both find files
// below files/ and files and directories whose name begins with _. They never leave the lab's
// directory:
//
//	```yaml {file="files/compose.yml" region="web"}
//	:::include _cleaning-up.md          prose with headings from ### on; no steps, checks or scripts
//
// The following blocks are not part of the prose. They must not be in lists or quotes:
//
//	```hint                             Markdown, shown when the learner asks for it; in order
//	```check                            TOML: the conditions for the step to be done; exactly one per step
//	```setup                            a script that runs before the step opens
//	```solution                         a script that does the step, for `labd lab test`; learners never see it
//	```wrong {#id}                      a script that creates the wrong state with that id, for `labd lab test`
//	```undo {#id}                       a script that reverts it
//
// Scripts run with bash -eu in the home directory of the first node, or of the node named by
// {node=node2}. {{name}} is replaced by the variable's value in prose, hints, checks and scripts.
// Shells and scripts also have it as the environment variable LAB_NAME. {{end}}, {{else}},
// {{break}} and {{continue}} are left alone, because templates of `docker --format` use them.
//
// # Checks
//
// A check is a list of probes, which are TOML tables of the kinds below. The step is done when all
// of them hold. A check can also list known wrong states. labd tries these first, in order. If all
// probes of one hold, the learner sees its hint, and the step is not done:
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
// Every probe can have hint, id, node and timeout ("3s", at most 10s). The id identifies the hint
// in translations; the default is the kind and the number of the probe in the step, for example
// "container-1". A probe must not change the learner's state.
//
//	[[container]]   at least one container fits all of:
//	                name; image (tag optional); label ("key" or "key=value", or a list); except (names of
//	                containers to ignore); running; restarted (it ended, was started again and runs);
//	                status; exit_code; publishes ("8080:80"; either port can be "*"); not_publishes;
//	                error (part of the engine's message); env ("KEY=value"); network;
//	                remember ("x": remembers the container's id and times once the step is done), and in
//	                later steps same_as, not_same_as and restarted_since ("x").
//	                exists = false: no container fits. count = 3: exactly 3 containers fit.
//	[[image]]       name (tag optional), exists
//	[[network]]     name, exists
//	[[event]]       the engine reported this event: action ("destroy"), container, image
//	[[http]]        url ("http://..."), method (GET or HEAD), status, contains, not_contains, matches
//	                (regular expression). Redirects are not followed.
//	[[tcp]]         address ("localhost:6379"), send, expect; or refused = true
//	[[file]]        path, container (default: in the node itself), exists, equals (ignores surrounding
//	                white space), contains
//	[[shell]]       script: holds if the exit code is 0; its output is shown as what was seen. It takes
//	                100 ms and more, so prefer other kinds.
//
// # Translations
//
// lab.<lang>.md contains text only. Its front matter has title and summary. Its steps have the same
// anchors in the same order, the same number of hints, and the same {run} and {save} blocks.
// Comments in these blocks, titles and marked lines may differ. The hints in the check are
// translated in one more block per step:
//
//	```messages
//	foreground = "按 Ctrl-C 时容器也结束了。请加上 `-d`。"
//	container-1 = "看看 `docker ps -a` 的输出。"
//	```
//
// Its keys are the ids of wrong states and probes. Every hint must be translated.
package lab
