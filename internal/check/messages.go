package check

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is the maximum number of runes from a node that a message shows.
const maxShown = 300

// messages are the texts of one language. Text from a node must go through clean or code before it
// becomes part of one.
type messages struct {
	// states translates the engine's names of container states.
	states  map[string]string
	exited  string // takes an exit code
	unknown string // takes a state that is not in states

	aContainer, noContainer       string
	sameContainer, otherContainer string
	notRunning                    string
	restarted, notRestarted       string
	noError                       string
	engineStarting, noAnswer      string
	present, absent               string
	refused, listening            string
	didNotHappen, happened        string
	aFolder, aLink, notRegular    string
	empty                         string
	scriptHolds, scriptFails      string

	fmtNamed, fmtAbout, fmtContainers, fmtContainersWith, fmtMadeFrom, fmtOnNetwork, fmtPublishes, fmtPublishesNot string
	fmtEngineSaid, fmtEnvSet, fmtEnvUnset, fmtUnreadable, fmtStatus, fmtContains, fmtNotContains, fmtMatches       string
	fmtAnswer, fmtUnreachable, fmtContent, fmtEquals, fmtTooLarge, fmtImageMissing, fmtRestoreImage                string

	publishesNothing, noNetwork string
	comma                       string
}

func messagesFor(lang string) messages {
	if lang == "zh" {
		return chinese
	}
	return english
}

func (t *messages) state(state string, code *int) string {
	if code != nil && (state == "exited" || state == "dead") {
		return fmt.Sprintf(t.exited, *code)
	}
	if s, ok := t.states[state]; ok {
		return s
	}
	return fmt.Sprintf(t.unknown, clean(state))
}

func (t *messages) about(subject, saw string) string {
	if subject == "" || saw == "" {
		return saw
	}
	return fmt.Sprintf(t.fmtAbout, code(subject), saw)
}

func (t *messages) named(name, saw string) string { return fmt.Sprintf(t.fmtNamed, code(name), saw) }

func (t *messages) containers(n int, with string) string {
	if with == "" {
		return fmt.Sprintf(t.fmtContainers, n)
	}
	return fmt.Sprintf(t.fmtContainersWith, n, with)
}

func (t *messages) joined(all []string) string { return strings.Join(all, t.comma) }

func (t *messages) madeFrom(image string) string { return fmt.Sprintf(t.fmtMadeFrom, code(image)) }

func (t *messages) onNetwork(names string) string {
	if names == "" {
		return t.noNetwork
	}
	return fmt.Sprintf(t.fmtOnNetwork, code(names))
}

func (t *messages) publishes(ports []string) string {
	if len(ports) == 0 {
		return t.publishesNothing
	}
	shown := make([]string, len(ports))
	for i, p := range ports {
		shown[i] = code(strings.TrimSuffix(clean(p), "/tcp"))
	}
	return fmt.Sprintf(t.fmtPublishes, strings.Join(shown, ", "))
}

func (t *messages) publishesNot(port string) string {
	return fmt.Sprintf(t.fmtPublishesNot, code(port))
}
func (t *messages) engineSaid(s string) string   { return fmt.Sprintf(t.fmtEngineSaid, code(s)) }
func (t *messages) envSet(kv string) string      { return fmt.Sprintf(t.fmtEnvSet, code(kv)) }
func (t *messages) envUnset(k string) string     { return fmt.Sprintf(t.fmtEnvUnset, code(k)) }
func (t *messages) unreadable(err string) string { return fmt.Sprintf(t.fmtUnreadable, code(err)) }
func (t *messages) status(n int) string          { return fmt.Sprintf(t.fmtStatus, n) }
func (t *messages) contains(s string) string     { return fmt.Sprintf(t.fmtContains, code(s)) }
func (t *messages) notContains(s string) string  { return fmt.Sprintf(t.fmtNotContains, code(s)) }
func (t *messages) matches(s string) string      { return fmt.Sprintf(t.fmtMatches, code(s)) }
func (t *messages) unreachable(s string) string  { return fmt.Sprintf(t.fmtUnreachable, code(s)) }
func (t *messages) equals(s string) string       { return fmt.Sprintf(t.fmtEquals, code(s)) }
func (t *messages) tooLarge(limit int64) string  { return fmt.Sprintf(t.fmtTooLarge, limit) }

func (t *messages) imageMissing(name string) string {
	return fmt.Sprintf(t.fmtImageMissing, code(name))
}

// restoreImage quotes an entry of the lab's menu. Its text is in site/assets/ts/lab/i18n.ts.
func (t *messages) restoreImage(name string) string {
	return fmt.Sprintf(t.fmtRestoreImage, code(name))
}

func (t *messages) answer(s string) string {
	if s = clean(s); s == "" {
		return t.empty
	}
	return fmt.Sprintf(t.fmtAnswer, code(s))
}

func (t *messages) content(s string) string {
	if s = clean(s); s == "" {
		return t.empty
	}
	return fmt.Sprintf(t.fmtContent, code(s))
}

// clean reduces text from a node to one line of printable characters with a limited length.
func clean(s string) string {
	if len(s) > 8*maxShown {
		s = s[:8*maxShown]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s)[:maxShown]) + "…"
	}
	return s
}

// code puts s in backticks. It replaces backticks in s, which would end the span early.
func code(s string) string { return "`" + strings.ReplaceAll(clean(s), "`", "'") + "`" }

var english = messages{
	states: map[string]string{
		"created": "created, but never started", "running": "running", "paused": "paused", "restarting": "restarting",
		"removing": "being removed", "exited": "exited", "dead": "dead",
	},
	exited:            "exited with code %d",
	unknown:           "in state `%s`",
	aContainer:        "a container",
	noContainer:       "no such container",
	sameContainer:     "the same container as before",
	otherContainer:    "a different container than before",
	notRunning:        "not running",
	restarted:         "started again since",
	notRestarted:      "not started again since",
	noError:           "no error from the engine",
	engineStarting:    "The Docker engine of your node does not answer yet.",
	noAnswer:          "no answer in time",
	present:           "it is there",
	absent:            "it is not there",
	refused:           "nothing listens there",
	listening:         "something listens there",
	happened:          "it happened",
	didNotHappen:      "it has not happened",
	aFolder:           "a directory",
	aLink:             "a symbolic link",
	notRegular:        "not a regular file",
	empty:             "empty",
	scriptHolds:       "as expected",
	scriptFails:       "not as expected",
	fmtNamed:          "%s is %s",
	fmtAbout:          "%s: %s",
	fmtContainers:     "containers: %d",
	fmtContainersWith: "containers: %d (%s)",
	fmtMadeFrom:       "made from %s",
	fmtOnNetwork:      "on network %s",
	fmtPublishes:      "publishes %s",
	fmtPublishesNot:   "does not publish %s",
	fmtEngineSaid:     "the engine says %s",
	fmtEnvSet:         "has %s in its environment",
	fmtEnvUnset:       "has no %s in its environment",
	fmtUnreadable:     "cannot be checked: %s",
	fmtStatus:         "answers with status %d",
	fmtContains:       "contains %s",
	fmtNotContains:    "does not contain %s",
	fmtMatches:        "matches %s",
	fmtAnswer:         "answers %s",
	fmtUnreachable:    "no connection: %s",
	fmtContent:        "contains %s",
	fmtEquals:         "contains exactly %s",
	fmtTooLarge:       "more than %d bytes",
	fmtImageMissing:   "the image %s is missing",
	fmtRestoreImage:   "The image %s is no longer on your machine. `Restore images` in the menu of the lab brings it back.",
	publishesNothing:  "publishes no port",
	noNetwork:         "on no network",
	comma:             ", ",
}

var chinese = messages{
	states: map[string]string{
		"created": "已创建，但从未启动", "running": "正在运行", "paused": "已暂停", "restarting": "正在重启",
		"removing": "正在删除", "exited": "已退出", "dead": "已失效（dead）",
	},
	exited:            "已退出，退出码 %d",
	unknown:           "状态为 `%s`",
	aContainer:        "有这样一个容器",
	noContainer:       "没有这样的容器",
	sameContainer:     "仍是之前的那个容器",
	otherContainer:    "不是之前的那个容器",
	notRunning:        "没有在运行",
	restarted:         "之后又启动过",
	notRestarted:      "之后没有再启动过",
	noError:           "引擎没有报错",
	engineStarting:    "你的节点上的 Docker 引擎还没有响应。",
	noAnswer:          "没有在限定时间内响应",
	present:           "存在",
	absent:            "不存在",
	refused:           "没有程序在监听",
	listening:         "有程序在监听",
	happened:          "已经发生过",
	didNotHappen:      "还没有发生",
	aFolder:           "是一个目录",
	aLink:             "是一个符号链接",
	notRegular:        "不是普通文件",
	empty:             "内容为空",
	scriptHolds:       "符合要求",
	scriptFails:       "不符合要求",
	fmtNamed:          "%s：%s",
	fmtAbout:          "%s：%s",
	fmtContainers:     "容器数量：%d",
	fmtContainersWith: "容器数量：%d（%s）",
	fmtMadeFrom:       "由镜像 %s 创建",
	fmtOnNetwork:      "连接在网络 %s 上",
	fmtPublishes:      "发布了端口 %s",
	fmtPublishesNot:   "没有发布端口 %s",
	fmtEngineSaid:     "引擎报告 %s",
	fmtEnvSet:         "环境变量中有 %s",
	fmtEnvUnset:       "环境变量中没有 %s",
	fmtUnreadable:     "无法查看：%s",
	fmtStatus:         "响应的状态码是 %d",
	fmtContains:       "内容包含 %s",
	fmtNotContains:    "内容不包含 %s",
	fmtMatches:        "内容匹配 %s",
	fmtAnswer:         "响应为 %s",
	fmtUnreachable:    "无法连接：%s",
	fmtContent:        "内容是 %s",
	fmtEquals:         "内容正好是 %s",
	fmtTooLarge:       "超过 %d 字节",
	fmtImageMissing:   "缺少镜像 %s",
	fmtRestoreImage:   "你的机器上已经没有镜像 %s 了。用实验菜单里的“恢复镜像”可以把它找回来。",
	publishesNothing:  "没有发布任何端口",
	noNetwork:         "没有连接任何网络",
	comma:             "，",
}
