import { useState } from "preact/hooks";
import { setToken, token, tokenRefused } from "./session";

/** The field for the token, shown when the service asks for one; otherwise a button that forgets the token, or nothing. */
export function TokenField() {
  const [draft, setDraft] = useState("");
  if (tokenRefused.value === "") {
    if (token.value === "") return null;
    return (
      <button type="button" onClick={() => setToken("")} title="Forget the token of this tab">
        Forget token
      </button>
    );
  }
  const submit = (event: Event) => {
    event.preventDefault();
    if (draft.trim() !== "") setToken(draft.trim());
    setDraft("");
  };
  return (
    <form class="token" onSubmit={submit}>
      <label for="token">
        {tokenRefused.value === "missing"
          ? "This service asks for a token"
          : "The service refused this token"}
      </label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      <button type="submit">Use for this tab</button>
    </form>
  );
}
