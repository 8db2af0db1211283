import { useRef, useState } from "preact/hooks";
import type { Job, Schemas } from "../shared/api";
import { Data } from "../shared/data";
import type { Value } from "../shared/exact_json";
import { bytes } from "../shared/format";
import { exactPart } from "../shared/job_source";
import { visibleText } from "../shared/text";
import { isPicture, svg } from "./file_content";
import { HTMLFrame } from "./html_frame";
import { limitName } from "./limits";
import { LongText } from "./long_text";
import { useNear } from "./near";
import { Picture } from "./picture";
import { JSONView } from "./result";
import { Scroll } from "./scroll";

type Form = Schemas["DisplayForm"];

/** Shows what a cell displayed. */
export function Displays({ job }: { job: Job }) {
  const displays = job.displays ?? [];
  const omitted = job.displays_omitted ?? [];
  if (displays.length === 0 && omitted.length === 0) return null;
  return (
    <div class="displays">
      {displays.map((display, index) => (
        <DisplayView key={index} job={job} number={index + 1} forms={display.forms} />
      ))}
      {omitted.length > 0 && (
        <>
          <p class="cut">Left out of the displays:</p>
          <ul class="plain-list">
            {omitted.map((each, index) => (
              <li key={index} class="quiet">
                display {each.display}
                {each.type !== "" && (
                  <>
                    , <Data text={each.type} />
                  </>
                )}
                {each.bytes !== undefined && `, ${bytes(each.bytes)}`} ({limitName(each.limit)})
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** Reports whether the page shows a form as more than its text. */
function isKnown(form: Form): boolean {
  if (form.file !== undefined) return isPicture(form.type);
  if (form.json !== undefined) return form.type === "application/json";
  return form.type.startsWith("text/") || form.type === svg;
}

function DisplayView({ job, number, forms }: { job: Job; number: number; forms: Form[] }) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNear(box);
  const first = forms.findIndex(isKnown);
  const [chosen, setChosen] = useState(Math.max(0, first));
  const form = forms[chosen] ?? forms[0];
  return (
    <div class="display" ref={box}>
      <div class="head">
        <h2>Display {number}</h2>
        {forms.length > 1 && (
          <label class="forms">
            <span class="hidden-text">Form of display {number}</span>
            <select value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
              {forms.map((each, index) => (
                <option key={each.type} value={index}>
                  {visibleText(each.type)}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {near && form !== undefined && (
        <FormView key={chosen} job={job} form={form} number={number} place={[number - 1, chosen]} />
      )}
    </div>
  );
}

interface FormProperties {
  job: Job;
  form: Form;
  number: number;
  /** The indexes of the display and of the form. */
  place: [number, number];
}

function FormView({ job, form, number, place }: FormProperties) {
  const label = `Display ${number}`;
  if (form.file !== undefined) return <FileForm job={job} form={form} label={label} />;
  if (form.json !== undefined) {
    const value: Value = exactPart(job, "displays", place[0], "forms", place[1], "json") ?? null;
    return <JSONView value={value} label={`${label}, ${visibleText(form.type)}`} />;
  }
  const text = form.text ?? "";
  if (form.type === "text/html") return <HTMLFrame html={text} label={label} />;
  if (form.type === svg) return <Picture source={text} type={svg} label={`${label}, a picture`} />;
  return (
    <Scroll class="text" label={label}>
      <LongText text={text} />
    </Scroll>
  );
}

function FileForm({ job, form, label }: { job: Job; form: Form; label: string }) {
  const file = job.files?.find((each) => each.name === form.file);
  if (file === undefined) return <p class="cut">The file of this form was left out.</p>;
  if (!isPicture(form.type)) {
    return (
      <p>
        <Data text={file.name} /> <span class="quiet">({bytes(file.size)}) is among the files below.</span>
      </p>
    );
  }
  return <Picture source={file} type={form.type} label={`${label}, ${file.name}, a picture`} />;
}
