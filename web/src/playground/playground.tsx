import { render } from "preact";
import { Playground } from "./page";

render(<Playground />, document.getElementById("page") as HTMLElement);
