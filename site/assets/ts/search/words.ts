// All texts of the search. A key that is missing in one language is a type error.

export const en = {
  label: "Search",
  hint: "Search lessons and labs",
  none: "Nothing found. Try fewer or other words.",
  one: "1 result",
  some: "{n} results",
  best: "The {n} best results",
  searching: "Searching…",
  failed: "The search could not be loaded. Try again.",
  offline: "You are offline, and this part of the search has not been loaded yet. It goes on when you are back.",
  close: "Close",
  keys: "Arrow keys choose, Enter opens, Esc closes.",
};

export type Words = typeof en;

export const zh: Words = {
  label: "搜索",
  hint: "搜索课程和实验",
  none: "没有找到。换个词，或者少用几个词试试。",
  one: "1 条结果",
  some: "{n} 条结果",
  best: "最相关的 {n} 条结果",
  searching: "正在搜索…",
  failed: "搜索数据加载失败，请重试。",
  offline: "当前处于离线状态，这部分搜索数据还没有加载。恢复联网后会自动继续。",
  close: "关闭",
  keys: "方向键选择，回车键打开，Esc 键关闭。",
};

export function wordsOf(lang: string | undefined): Words {
  return lang?.startsWith("zh") ? zh : en;
}
