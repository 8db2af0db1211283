import { signal } from "@preact/signals";
import { Data } from "../shared/data";
import { token } from "../shared/session";
import { CopyAction } from "./copy_action";
import { cliCommand } from "./generate_cli";
import { curlCommand } from "./generate_curl";
import { goProgram } from "./generate_go";
import { pythonProgram } from "./generate_python";
import type { Snapshot } from "./snapshot";
import { files, read, script } from "./state";

const kinds = {
  curl: { label: "curl", generate: curlCommand, note: "For bash and zsh." },
  python: { label: "Python", generate: pythonProgram, note: "With the client of clients/python." },
  go: { label: "Go", generate: goProgram, note: "With the package cellblock/client." },
  cli: { label: "CLI", generate: cliCommand, note: "The command cellblock, for bash and zsh." },
};
type Kind = keyof typeof kinds;

const kind = signal<Kind>("curl");

/** What is on the page as a command or a program. */
export function CopyPanel() {
  const problem = read.value.problems[0];
  const chosen = kinds[kind.value];
  return (
    <div class="copy">
      <fieldset class="segments">
        <legend class="hidden-text">Copy as</legend>
        {(Object.keys(kinds) as Kind[]).map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="kind"
              value={each}
              checked={kind.value === each}
              onChange={() => {
                kind.value = each;
              }}
            />
            <span>{kinds[each].label}</span>
          </label>
        ))}
      </fieldset>
      {problem === undefined ? <Generated /> : <Problem message={problem.message} />}
      <p class="hint">
        {chosen.note} {token.value !== "" && "The token is not in it: put it into CELLBLOCK_TOKEN."}
      </p>
    </div>
  );
}

function Problem({ message }: { message: string }) {
  return (
    <p class="problem">
      <Data text={message} />
    </p>
  );
}

function Generated() {
  const text = kinds[kind.value].generate(snapshot());
  return (
    <>
      <CopyAction key={kind.value} label="Copy" text={text} otherwise="Select the text and copy it." />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section class="code" tabIndex={0} aria-label={`The run as ${kinds[kind.value].label}`}>
        <pre dir="ltr">{text}</pre>
      </section>
    </>
  );
}

function snapshot(): Snapshot {
  return {
    origin: location.origin,
    token: token.value !== "",
    script: script.value,
    fields: read.value.fields,
    files: files.value,
  };
}
