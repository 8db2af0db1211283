import { Header } from "../shared/header";

/** The playground. */
export function Playground() {
  return (
    <>
      <Header page="playground" />
      <main>
        <h1>Playground</h1>
      </main>
    </>
  );
}
