import type { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { createEditor, markLine, setText } from "./editor";
import { mark, script } from "./state";

/** The editor with the script of the page. */
export function Editor() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const view = createEditor(element.shadowRoot ?? element.attachShadow({ mode: "open" }), {
      changed(text) {
        if (text === script.value) return;
        script.value = text;
        mark.value = undefined;
      },
    });
    editor.current = view;
    const ends = [
      script.subscribe((text) => setText(view, text)),
      mark.subscribe((value) => markLine(view, value)),
    ];
    return () => {
      for (const end of ends) end();
      view.destroy();
    };
  }, []);
  return (
    <div class="editor">
      <div class="editor-host" ref={host} />
      <p class="keys">
        <kbd>Tab</kbd> indents · <kbd>Esc</kbd> then <kbd>Tab</kbd> leaves the editor
      </p>
    </div>
  );
}
