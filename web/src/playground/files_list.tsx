import { useEffect, useRef, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { bytes } from "../shared/format";
import { visibleText } from "../shared/text";
import { addFiles, type InputFile, mostBytes } from "./files";
import { files, notice } from "./state";

/** Reads files of the user's machine and adds them to the next run. */
export async function attach(list: Iterable<File>): Promise<void> {
  const added: InputFile[] = [];
  const unread: string[] = [];
  const large: string[] = [];
  for (const file of list) {
    if (file.size > mostBytes) {
      large.push(`${file.name} has ${bytes(file.size)}; a run takes at most ${bytes(mostBytes)}.`);
      continue;
    }
    try {
      added.push({ path: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
    } catch {
      unread.push(file.name); // a folder, or a file that is gone
    }
  }
  const result = addFiles(files.value, added);
  files.value = result.files;
  const cannot =
    unread.length === 0 ? "" : `${unread.join(", ")} cannot be read. Folders cannot be added, only files.`;
  const text = [...large, result.problem, cannot].filter((each) => each !== "").join(" ");
  if (text !== "") notice.value = { text };
}

/** The button that adds files. */
export function AddFiles() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()} title="Or drop them anywhere on the page">
        Add files
      </button>
      <input
        ref={input}
        id="files"
        type="file"
        multiple
        hidden
        onChange={(event) => {
          const { currentTarget } = event;
          // Choosing the same file again is a change only if the field is empty.
          void attach([...(currentTarget.files ?? [])]).then(() => {
            currentTarget.value = "";
          });
        }}
      />
    </>
  );
}

/** The files of the next run. */
export function FilesList() {
  if (files.value.length === 0) return null;
  return (
    <ul class="chips" aria-label="Files for the script">
      {files.value.map((file) => (
        <li key={file.path} class="chip">
          <Data text={file.path} /> <span class="hint">{bytes(file.bytes.length)}</span>
          <button
            type="button"
            class="remove"
            aria-label={`Remove ${visibleText(file.path)}`}
            onClick={() => {
              files.value = files.value.filter((each) => each !== file);
            }}
          >
            <span aria-hidden="true">×</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Takes files that are dropped anywhere on the page, and shows that it does while they are above it. */
export function DropZone() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.stopPropagation(); // or the editor inserts the file's text
      setOver(false);
      void attach([...(event.dataTransfer?.files ?? [])]);
    };
    const listeners = { dragenter: drag, dragover: drag, dragleave: leave, drop };
    for (const [name, listener] of Object.entries(listeners))
      addEventListener(name, listener as EventListener, true);
    return () => {
      for (const [name, listener] of Object.entries(listeners))
        removeEventListener(name, listener as EventListener, true);
    };
  }, []);
  return over ? <div class="drop">Drop the files: the script finds them in its working directory</div> : null;
}
