import { useMemo, useState } from "preact/hooks";
import { formatExact, type Value } from "../shared/exact_json";
import { bytes } from "../shared/format";
import { CopyButton } from "./copy_button";
import { LongText } from "./long_text";
import { Scroll } from "./scroll";
import { TableView } from "./table";
import { tableOf } from "./table_shape";
import { Scalar, Tree } from "./tree";
import { isLong, sizeOf } from "./tree_rows";

type Form = "table" | "tree" | "json";
const formNames: Record<Form, string> = { table: "Table", tree: "Tree", json: "JSON" };

/** Shows what a script returned, with its heading. */
export function Result({ value }: { value: Value }) {
  return (
    <div class="result">
      <JSONView value={value} label="Result" heading />
    </div>
  );
}

interface Properties {
  value: Value;
  label: string;
  /** Whether the label is shown as a heading. */
  heading?: boolean;
}

/** Shows a value of JSON as a table, a tree or text. */
export function JSONView({ value, label, heading = false }: Properties) {
  const table = useMemo(() => tableOf(value), [value]);
  const [chosen, setChosen] = useState<Form>();
  const forms = (["table", "tree", "json"] as const).filter(
    (form) => form !== "table" || table !== undefined,
  );
  const form = chosen !== undefined && forms.includes(chosen) ? chosen : (forms[0] ?? "tree");
  const plain = sizeOf(value) === 0;
  return (
    <>
      <div class="head">
        {heading && <h2>{label}</h2>}
        {!plain && (
          <Switch label={`${label} as`} names={formNames} forms={forms} form={form} choose={setChosen} />
        )}
        {typeof value === "string" && <CopyButton label="Copy text" text={() => value} />}
        <CopyButton label="Copy JSON" text={() => formatExact(value)} />
      </div>
      {plain ? <Plain value={value} label={label} /> : null}
      {!plain && form === "table" && table !== undefined && <TableView table={table} label={label} />}
      {!plain && form === "tree" && <Tree value={value} label={label} />}
      {!plain && form === "json" && <JSONText value={value} label={label} />}
    </>
  );
}

function Plain({ value, label }: { value: Value; label: string }) {
  if (isLong(value)) {
    return (
      <Scroll class="text" label={label}>
        <LongText text={value} />
      </Scroll>
    );
  }
  return (
    <p class="mono plain">
      <Scalar value={value} />
    </p>
  );
}

function JSONText({ value, label }: { value: Value; label: string }) {
  const text = useMemo(() => formatExact(value), [value]);
  return (
    <>
      <Scroll class="text" label={`${label} as JSON`}>
        <LongText text={text} />
      </Scroll>
      <p class="quiet foot">{bytes(new Blob([text]).size)} with line ends</p>
    </>
  );
}

interface SwitchProperties<F extends string> {
  label: string;
  names: Record<F, string>;
  forms: readonly F[];
  form: F;
  choose: (form: F) => void;
}

/** Buttons of which one is pressed. */
export function Switch<F extends string>({ label, names, forms, form, choose }: SwitchProperties<F>) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a legend that is seen
    <div class="switch" role="group" aria-label={label}>
      {forms.map((each) => (
        <button
          key={each}
          type="button"
          class="small"
          aria-pressed={each === form}
          onClick={() => choose(each)}
        >
          {names[each]}
        </button>
      ))}
    </div>
  );
}
