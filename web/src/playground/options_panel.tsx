import type { ComponentChildren } from "preact";
import { Data } from "../shared/data";
import { EnvironmentField, shownEnvironment } from "./environment_field";
import {
  defaultOptions,
  type Entry,
  entries,
  type LimitName,
  limitNames,
  limits,
  type Options,
  type Problem,
} from "./options";
import { options, read, setOptions } from "./state";

/** How the script runs: entry, environment, inputs, limits. */
export function OptionsPanel() {
  return (
    <div class="options">
      <EntryField />
      <EnvironmentField />
      <ArgsField />
      <TextField name="stdin" label="Standard input" />
      <TextField
        name="env"
        label="Environment variables"
        placeholder="MODE=fast"
        hint="NAME=VALUE, one per line"
      />
      <LimitFields />
      <TextField
        name="labels"
        label="Labels"
        placeholder="customer=42"
        hint="KEY=VALUE, one per line; to find the job"
      />
      <div>
        <button type="button" onClick={() => setOptions(defaultOptions())}>
          Reset the options
        </button>
      </div>
    </div>
  );
}

function EntryField() {
  return (
    <fieldset class="field">
      <legend>Entry</legend>
      {(Object.keys(entries) as Entry[]).map((entry) => (
        <label key={entry} class="choice">
          <input
            type="radio"
            name="entry"
            value={entry}
            checked={options.value.entry === entry}
            onChange={() => setOptions({ entry })}
          />
          <code>{entry}</code> <span class="hint">{entries[entry]}</span>
        </label>
      ))}
    </fieldset>
  );
}

function ArgsField() {
  switch (options.value.entry) {
    case "main":
      return (
        <TextField
          name="args"
          label="Arguments of main()"
          placeholder='{"n": 3}'
          hint="a JSON object with their names"
        />
      );
    case "script":
      return (
        <TextField name="argv" label="Arguments (sys.argv)" hint="one per line, or a JSON list of strings" />
      );
    case "cell":
      return null;
  }
}

interface TextFieldProps {
  name: "args" | "argv" | "stdin" | "env" | "labels";
  label: string;
  placeholder?: string;
  hint?: string;
}

function TextField({ name, label, placeholder, hint }: TextFieldProps) {
  const text = options.value[name];
  return (
    <Field id={name} label={label} hint={hint}>
      <textarea
        id={`option-${name}`}
        class="mono"
        rows={Math.min(6, Math.max(2, text.split("\n").length))}
        spellcheck={false}
        autocomplete="off"
        placeholder={placeholder}
        value={text}
        {...described(name, hint)}
        onInput={(event) => setOptions({ [name]: event.currentTarget.value } as Partial<Options>)}
      />
    </Field>
  );
}

function LimitFields() {
  return (
    <fieldset class="field limits">
      <legend>Limits</legend>
      {limitNames.map((name) => (
        <LimitField key={name} name={name} />
      ))}
      <p class="hint">Empty: what the service allows. A run may ask for less.</p>
    </fieldset>
  );
}

function LimitField({ name }: { name: LimitName }) {
  const { label, unit } = limits[name];
  const environment = shownEnvironment();
  const standard = environment?.limits?.[name];
  const most = environment?.max_limits?.[name];
  const text = unit === "" ? label : `${label}, ${unit}`;
  const hint = most === undefined || most === standard ? undefined : `at most ${most}`;
  return (
    <Field id={name} label={text} hint={hint}>
      <input
        id={`option-${name}`}
        inputMode="decimal"
        autocomplete="off"
        placeholder={standard === undefined ? "" : String(standard)}
        value={options.value.limits[name]}
        {...described(name, hint)}
        onInput={(event) =>
          setOptions({ limits: { ...options.value.limits, [name]: event.currentTarget.value } })
        }
      />
    </Field>
  );
}

interface FieldProps {
  id: string;
  label: string;
  hint?: string | undefined;
  children: ComponentChildren;
}

function Field({ id, label, hint, children }: FieldProps) {
  const problem = problemOf(id);
  return (
    <div class="field">
      <label for={`option-${id}`}>{label}</label>
      {hint !== undefined && (
        <span id={`hint-${id}`} class="hint">
          {hint}
        </span>
      )}
      {children}
      {problem !== undefined && (
        <p id={`problem-${id}`} class="problem">
          <Data text={problem.message} />
        </p>
      )}
    </div>
  );
}

function problemOf(field: string): Problem | undefined {
  return read.value.problems.find((problem) => problem.field === field);
}

/** Returns the attributes that tie a field to its hint and its problem. */
function described(field: string, hint?: string) {
  const problem = problemOf(field) !== undefined;
  const ids = [hint === undefined ? "" : `hint-${field}`, problem ? `problem-${field}` : ""].filter(
    (id) => id !== "",
  );
  return {
    "aria-invalid": problem,
    ...(ids.length === 0 ? {} : { "aria-describedby": ids.join(" ") }),
  };
}
