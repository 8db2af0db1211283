import type { Job } from "../shared/api";
import { Data } from "../shared/data";
import { CopyButton } from "./copy_button";
import { isScriptFrame } from "./error_line";
import { limitName, metLimit } from "./limits";
import { LongText } from "./long_text";
import { Scroll } from "./scroll";
import { UsedRow } from "./usage";

/** Shows why a job failed. */
export function Failure({ job }: { job: Job }) {
  if (job.error === undefined && job.code === undefined) return null;
  return (
    <div class={`failure ${job.status}`}>
      <p class="sentence">
        <Data text={job.error ?? ""} />
      </p>
      <Facts job={job} />
      {job.hint !== undefined && (
        <p>
          <span class="quiet">Hint: </span>
          <Data text={job.hint} />
        </p>
      )}
      {job.detail !== undefined && (
        <p class="mono">
          <Data text={job.detail} />
        </p>
      )}
      <Limit job={job} />
      {job.text !== undefined && <SourceLine text={job.text} line={job.line} column={job.column} />}
      {job.traceback !== undefined && <Traceback text={job.traceback} />}
    </div>
  );
}

function Facts({ job }: { job: Job }) {
  const place = [];
  if (job.line !== undefined) place.push(`line ${job.line}`);
  if (job.column !== undefined) place.push(`column ${job.column}`);
  return (
    <ul class="plain-list facts-line">
      {job.code !== undefined && (
        <li class="code" title="The code, for programs">
          {job.code}
        </li>
      )}
      {place.length > 0 && <li>{place.join(", ")}</li>}
      {job.exit_code !== undefined && <li>exit code {job.exit_code}</li>}
      {job.signal !== undefined && (
        <li>
          signal <Data text={job.signal} />
        </li>
      )}
    </ul>
  );
}

function Limit({ job }: { job: Job }) {
  const met = metLimit(job);
  if (met === undefined || job.limit === undefined) return null;
  return (
    <dl class="bars" aria-label={`Limit: ${limitName(job.limit.name)}`}>
      <UsedRow used={met} />
    </dl>
  );
}

/** Around the column, so many characters of a long line are shown. */
const around = 100;

/** Shows the line of a syntax error, with a caret below the column. */
export function SourceLine({
  text,
  line,
  column,
}: {
  text: string;
  line?: number | undefined;
  column?: number | undefined;
}) {
  const characters = Array.from(text.replace(/[\r\n]+$/, ""));
  const at = column === undefined ? undefined : Math.min(column - 1, characters.length);
  const from = Math.max(0, (at ?? 0) - around);
  const to = Math.min(characters.length, (at ?? 0) + around);
  const shown = characters.slice(from, to).join("");
  const before = from > 0 ? "…" : "";
  return (
    <Scroll class="source" label="The line of the error">
      <div>
        <span class="number" aria-hidden="true">
          {line}
        </span>
        {before}
        <Data text={shown} />
        {to < characters.length && "…"}
      </div>
      {at !== undefined && (
        <div aria-hidden="true">
          {/* The same text, unseen, is as wide as what is above, also with wide characters. */}
          <span class="unseen">
            <span class="number">{line}</span>
            {before}
            <Data text={characters.slice(from, at).join("")} />
          </span>
          <span class="caret">^</span>
        </div>
      )}
    </Scroll>
  );
}

/** A traceback has at most 128 KiB; of longer ones the lines are not marked. */
const mostMarked = 2_000;

function Traceback({ text }: { text: string }) {
  const lines = text.trimEnd().split("\n");
  return (
    <div class="traceback">
      <div class="head">
        <h2>Traceback</h2>
        <CopyButton label="Copy" text={() => text} />
      </div>
      <Scroll class="text" label="Traceback">
        {lines.length > mostMarked ? (
          <LongText text={text} />
        ) : (
          lines.map((line, index) => (
            <div key={index} class={isScriptFrame(line) ? "frame own" : "frame"}>
              <Data text={line} />
            </div>
          ))
        )}
      </Scroll>
    </div>
  );
}
