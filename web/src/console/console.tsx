import { render } from "preact";
import { Console } from "./page";

render(<Console />, document.getElementById("page") as HTMLElement);
