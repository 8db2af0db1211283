import { Header } from "../shared/header";

/** The console. */
export function Console() {
  return (
    <>
      <Header page="console" />
      <main>
        <h1>Console</h1>
      </main>
    </>
  );
}
