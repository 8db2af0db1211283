import { useEffect } from "preact/hooks";
import { ApiError, request, type Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { token } from "../shared/session";
import { visibleText } from "../shared/text";
import { environments, options, panel, setOptions } from "./state";

/** Reads the environments of the service, and again when the token changes or the options are opened. */
export function useEnvironments(): void {
  const now = token.value;
  const open = panel.value === "options";
  // biome-ignore lint/correctness/useExhaustiveDependencies: they may have changed, and other tokens see others
  useEffect(() => {
    const controller = new AbortController();
    request<Schemas["EnvironmentList"]>("/environments", { signal: controller.signal })
      .then((list) => {
        environments.value = list.environments;
      })
      .catch((failure: unknown) => {
        // A run reports what is wrong; without the list, the service's choice is still there.
        if (!controller.signal.aborted && failure instanceof ApiError) environments.value = undefined;
      });
    return () => controller.abort();
  }, [now, open]);
}

/** Returns the chosen environment, or the default; undefined if it is not known. */
export function shownEnvironment(): Schemas["Environment"] | undefined {
  const name = options.value.environment === "" ? "default" : options.value.environment;
  return environments.value?.find((each) => each.name === name);
}

/** The choice of an environment, with what is in it. */
export function EnvironmentField() {
  const list = environments.value ?? [];
  const { environment } = options.value;
  const shown = shownEnvironment();
  return (
    <div class="field">
      <label for="option-environment">Environment</label>
      <select
        id="option-environment"
        value={environment}
        onChange={(event) => setOptions({ environment: event.currentTarget.value })}
      >
        <option value="">Chosen by the service</option>
        {list.map((each) => (
          <option key={each.name} value={each.name}>
            {each.workers > 0 ? each.name : `${each.name} (no worker)`}
          </option>
        ))}
        {environment !== "" && shown === undefined && (
          <option value={environment}>{visibleText(environment)} (unknown here)</option>
        )}
      </select>
      <span class="hint">
        {environment === "" && "By the script’s inline metadata; without it, default."}
        {environment !== "" && shown !== undefined && <Data text={shown.description} />}
      </span>
      {shown !== undefined && <Packages environment={shown} />}
    </div>
  );
}

function Packages({ environment }: { environment: Schemas["Environment"] }) {
  return (
    <details class="packages">
      <summary>
        {environment.name}: Python {environment.python}, {environment.packages.length} packages
      </summary>
      <ul>
        {environment.packages.map((each) => (
          <li key={each.name}>
            {each.name} <span class="hint">{each.version}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
