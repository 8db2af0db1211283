import { useState } from "preact/hooks";
import { jobLink } from "./route";

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/** Returns the id of a job in a text that has one, such as a line of a log. */
export function idIn(text: string): string | undefined {
  return uuid.exec(text)?.[0].toLowerCase();
}

/** The field that opens a job by its id. */
export function IdForm() {
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  const open = (id: string | undefined) => {
    setWrong(id === undefined);
    if (id === undefined) return;
    setText("");
    location.hash = jobLink(id);
  };
  return (
    <form
      class="id-form"
      aria-label="Open a job"
      onSubmit={(event) => {
        event.preventDefault();
        open(idIn(text));
      }}
    >
      <label for="job-id">Job id</label>
      <input
        id="job-id"
        type="text"
        autocomplete="off"
        spellcheck={false}
        placeholder="paste an id"
        aria-invalid={isWrong}
        aria-describedby={isWrong ? "job-id-error" : undefined}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setWrong(false);
        }}
      />
      <button type="submit">Open</button>
      {isWrong ? (
        <p id="job-id-error" class="error" role="alert">
          A job's id looks like 01981f3e-7c1a-7000-8000-000000000001.
        </p>
      ) : null}
    </form>
  );
}
