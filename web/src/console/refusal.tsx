import type { ApiError } from "../shared/api";
import { Data } from "../shared/data";
import { setToken } from "../shared/session";

/** Shows why the service refuses what the page needs. */
export function Refusal({ error }: { error: ApiError }) {
  const isForKey = error.status === 403 && error.code === "forbidden";
  return (
    <div class="refusal" role="alert">
      <h1 tabIndex={-1}>{isForKey ? "This key may not read jobs" : "The service refused the request"}</h1>
      <p>
        <Data text={error.message} />
      </p>
      {isForKey ? (
        <>
          <p>The console needs a key with the scope read, or admin for all tenants.</p>
          <button type="button" onClick={() => setToken("")}>
            Use another token
          </button>
        </>
      ) : null}
    </div>
  );
}
