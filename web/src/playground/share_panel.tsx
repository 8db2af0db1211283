import { useEffect, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { CopyAction } from "./copy_action";
import { linkTo } from "./draft";
import { variableNames } from "./options";
import { LinkError } from "./share";
import { files, options, script } from "./state";

/** A link to what is on the page. */
export function SharePanel() {
  const [withEnv, setWithEnv] = useState(false);
  const { link, problem } = useLink(withEnv);
  const names = variableNames(options.value.env);
  return (
    <div class="share">
      {names.length > 0 && (
        <label class="choice">
          <input
            type="checkbox"
            checked={withEnv}
            onChange={(event) => setWithEnv(event.currentTarget.checked)}
          />
          With the environment variables (<Data text={names.join(", ")} />)
        </label>
      )}
      {problem === "" ? (
        <div class="link">
          <input aria-label="Link" readOnly value={link} onFocus={(event) => event.currentTarget.select()} />
          <CopyAction label="Copy the link" text={link} otherwise="Select the link and copy it." />
        </div>
      ) : (
        <p class="problem">{problem}</p>
      )}
      <p class="hint">
        The script and its options are in the link itself, behind the #; the service never sees them. The
        token is not in it.
        {files.value.length > 0 && ` Neither are your files (${files.value.length}): send them along.`}
      </p>
    </div>
  );
}

function useLink(withEnv: boolean): { link: string; problem: string } {
  const [made, setMade] = useState({ link: "", problem: "" });
  const text = script.value;
  const chosen = options.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: linkTo reads the script and the options
  useEffect(() => {
    let current = true;
    linkTo(withEnv)
      .then((link) => current && setMade({ link, problem: "" }))
      .catch((failure: unknown) => {
        if (!(failure instanceof LinkError)) throw failure;
        if (current) setMade({ link: "", problem: failure.message });
      });
    return () => {
      current = false;
    };
  }, [withEnv, text, chosen]);
  return made;
}
