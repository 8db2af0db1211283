// The editor: CodeMirror with Python in a shadow root, where its styles need no <style> element.
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { pythonLanguage } from "@codemirror/lang-python";
import {
  bracketMatching,
  forceParsing,
  HighlightStyle,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { type EditorState, type Extension, RangeSet, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  EditorView,
  GutterMarker,
  gutterLineClass,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  WidgetType,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { ErrorLine } from "../job/error_line";
import { visibleText } from "../shared/text";

const indent = 4;
/** The message beside a line is cut here; the output shows it whole. */
const mostMessage = 300;

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
  {
    tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)],
    color: "var(--code-name)",
  },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: "var(--code-call)" },
  { tag: tags.meta, color: "var(--code-call)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--ground)" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", fontSize: "0.87rem", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { padding: "0.5rem 0", caretColor: "var(--text)" },
  ".cm-gutters": {
    color: "var(--text-2)",
    backgroundColor: "var(--ground-2)",
    border: "0",
    borderRight: "1px solid var(--line)",
  },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "2.5em", padding: "0 0.6em 0 0.4em" },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--ground-3)",
    outline: "1px solid var(--edge)",
  },
  "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--bad-ground)" },
  ".cm-specialChar": { color: "var(--mark)" },
  ".error-line": { backgroundColor: "var(--bad-ground)" },
  ".error-number": { color: "var(--bad)", fontWeight: "700" },
  ".error-message": {
    color: "var(--bad)",
    backgroundColor: "var(--bad-ground)",
    padding: "0 0.5em 0.15em",
    whiteSpace: "pre-wrap",
    overflowWrap: "anywhere",
    unicodeBidi: "isolate",
  },
});

const setMark = StateEffect.define<ErrorLine | undefined>();

class Message extends WidgetType {
  constructor(readonly text: string) {
    super();
  }
  override eq(other: Message): boolean {
    return other.text === this.text;
  }
  override toDOM(): HTMLElement {
    const element = document.createElement("div");
    element.className = "error-message";
    element.dir = "ltr";
    element.textContent = this.text;
    return element;
  }
}

const errorNumber = new (class extends GutterMarker {
  override elementClass = "error-number";
})();

interface Marked {
  lines: DecorationSet;
  numbers: RangeSet<GutterMarker>;
}
const unmarked: Marked = { lines: Decoration.none, numbers: RangeSet.empty };

/** The marked line. An edit removes the mark, since the message is about the script before. */
const marked = StateField.define<Marked>({
  create: () => unmarked,
  update(value, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setMark))
        return effect.value === undefined ? unmarked : marksOf(transaction.state, effect.value);
    }
    return transaction.docChanged ? unmarked : value;
  },
  provide: (field) => [
    EditorView.decorations.from(field, (value) => value.lines),
    gutterLineClass.from(field, (value) => value.numbers),
  ],
});

function marksOf(state: EditorState, { line, column, message }: ErrorLine): Marked {
  if (line > state.doc.lines) return unmarked;
  const { from, to } = state.doc.line(line);
  const first = visibleText(message.split("\n", 1)[0] ?? "");
  const cut = first.length > mostMessage ? `${first.slice(0, mostMessage - 1)}…` : first;
  const caret = column === undefined ? "" : `${" ".repeat(Math.min(column - 1, to - from))}^ `;
  return {
    lines: Decoration.set([
      Decoration.line({ class: "error-line" }).range(from),
      Decoration.widget({ widget: new Message(caret + cut), block: true, side: 1 }).range(to),
    ]),
    numbers: RangeSet.of([errorNumber.range(from)]),
  };
}

/** Indents the selected lines, or moves the cursor to the next stop. */
function tab(view: EditorView): boolean {
  const { state } = view;
  if (state.selection.ranges.some((range) => !range.empty)) return indentMore(view);
  const { head } = state.selection.main;
  const column = head - state.doc.lineAt(head).from;
  view.dispatch(state.replaceSelection(" ".repeat(indent - (column % indent))), { userEvent: "input" });
  return true;
}

/** Completes the syntax tree up to the cursor, by which a new line is indented: on a slow machine it lags behind. */
function parse(view: EditorView): boolean {
  forceParsing(view, view.state.selection.main.head, 200);
  return false;
}

/** Replaces a selection by typed text. Left to the browser, it would copy the look of the replaced text into inline
 * styles, which the page's Content-Security-Policy forbids. */
function replaceSelected(event: InputEvent, view: EditorView): boolean {
  const { state } = view;
  const typed = event.inputType === "insertText" && !event.isComposing && event.data !== null;
  if (!typed || view.composing || state.selection.ranges.every((range) => range.empty)) return false;
  view.dispatch(state.replaceSelection(event.data ?? ""), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

/** What the editor reports. */
export interface Listener {
  changed(text: string): void;
}

function extensions(listener: Listener): Extension {
  return [
    lineNumbers(),
    history(),
    highlightSpecialChars({ addSpecialChars: /[\u202a-\u202c\u2060-\u2065\u2068]/g }),
    bracketMatching(),
    pythonLanguage,
    indentUnit.of(" ".repeat(indent)),
    syntaxHighlighting(colours),
    look,
    marked,
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      "aria-label": "Python script",
      "aria-describedby": "editor-keys",
      tabindex: "0",
    }),
    EditorView.domEventHandlers({ beforeinput: replaceSelected }),
    keymap.of([
      { key: "Enter", run: parse },
      { key: "Tab", run: tab, shift: indentLess },
      ...historyKeymap,
      ...defaultKeymap,
    ]),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) listener.changed(update.state.doc.toString());
    }),
  ];
}

/** Creates an editor in a shadow root. The caller calls destroy. */
export function createEditor(root: ShadowRoot, listener: Listener): EditorView {
  const keys = document.createElement("span");
  keys.id = "editor-keys"; // here, since a description must be in the same tree
  keys.hidden = true;
  keys.textContent = "Tab indents. To leave the editor, press Escape, then Tab.";
  const view = new EditorView({ root, parent: root, extensions: extensions(listener) });
  root.append(keys);
  return view;
}

/** Replaces the text. The user can undo it. */
export function setText(view: EditorView, text: string): void {
  if (view.state.doc.toString() === text) return;
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 } });
}

/** Marks a line with a message until the next edit, and scrolls the editor to it; undefined removes the mark. */
export function markLine(view: EditorView, mark: ErrorLine | undefined): void {
  view.dispatch({ effects: setMark.of(mark) });
  if (mark === undefined || mark.line > view.state.doc.lines) return;
  const { from } = view.state.doc.line(mark.line);
  // Not EditorView.scrollIntoView, which also scrolls the page: on a phone, away from the output.
  view.requestMeasure({
    read: () => ({
      line: view.lineBlockAt(from),
      top: view.scrollDOM.scrollTop,
      height: view.scrollDOM.clientHeight,
    }),
    write: ({ line, top, height }) => {
      if (line.top < top || line.bottom > top + height) view.scrollDOM.scrollTop = line.top - height / 3;
    },
  });
}
