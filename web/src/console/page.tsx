import { useEffect } from "preact/hooks";
import { Header } from "../shared/header";
import { tokenRefused } from "../shared/session";
import { visibleText } from "../shared/text";
import { Freshness } from "./freshness";
import { IdForm } from "./id_form";
import { JobPage } from "./job_page";
import { JobsPage } from "./jobs_page";
import { Overview } from "./overview";
import { type Route, route } from "./route";
import { access } from "./sources";
import { usePoll } from "./use_poll";

/** The console. */
export function Console() {
  return (
    <>
      <Header page="console" />
      <main class="console">{tokenRefused.value === "" ? <Views /> : <TokenNeeded />}</main>
    </>
  );
}

function TokenNeeded() {
  const isWrong = tokenRefused.value === "wrong";
  // There is nothing else to do here.
  useEffect(() => document.getElementById("token")?.focus(), []);
  return (
    <div class="refusal" role="alert">
      <h1>Console</h1>
      <p>
        {isWrong
          ? "The service refused this token: it is wrong, has expired or was revoked. Enter another one at the top of the page."
          : "This service asks for a token. Enter it at the top of the page: a key with the scope read shows the jobs of its tenant, an administrator's shows all."}
      </p>
      <p>The token is kept in this tab until you close it.</p>
    </div>
  );
}

function Views() {
  // Only an administrator may list workers, so the answer shows whose key it is.
  const reading = usePoll(access);
  const { data, error, nextAt } = reading;
  const isAdmin = data !== undefined;
  const shown = route.value;
  const isKnown = isAdmin || (error !== undefined && nextAt === undefined);
  return (
    <>
      <div class="views">
        <nav aria-label="Views of the console">
          <a href="#overview" aria-current={shown.view === "overview" ? "page" : undefined}>
            Overview
          </a>
          <a href="#jobs" aria-current={shown.view === "jobs" ? "page" : undefined}>
            Jobs
          </a>
        </nav>
        <IdForm />
      </div>
      {isKnown ? (
        <View shown={shown} isAdmin={isAdmin} />
      ) : (
        <>
          <h1>Console</h1>
          <Freshness reading={reading} />
        </>
      )}
    </>
  );
}

function View({ shown, isAdmin }: { shown: Route; isAdmin: boolean }) {
  useEffect(() => announce(shown), [shown]);
  switch (shown.view) {
    case "overview":
      return <Overview isAdmin={isAdmin} />;
    case "jobs":
      return <JobsPage filters={shown.filters} isAdmin={isAdmin} />;
    case "job":
      return <JobPage key={shown.id} id={shown.id} isAdmin={isAdmin} />;
  }
}

function nameOf(shown: Route): string {
  if (shown.view === "job") return `Job ${visibleText(shown.id.slice(-12))}`;
  return shown.view === "jobs" ? "Jobs" : "Console";
}

let announced: Route["view"] | undefined;

/** Names the view in the title, and moves the focus to its heading, unless it is the first of the page. */
function announce(shown: Route): void {
  document.title = `${nameOf(shown)} · Cellblock`;
  if (announced !== undefined && announced !== shown.view) {
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("main h1")?.focus();
  }
  announced = shown.view;
}
